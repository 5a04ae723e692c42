"""Features in the plane."""

from __future__ import annotations

import numpy as np

#: Ways into the plane.
METHODS = ('tsne', 'pca')


def in_plane(features: np.ndarray, method: str = 'tsne', perplexity: float = 30.0, seed: int = 0) -> np.ndarray:
    """Places of features in the unit square, at one scale along both axes.

    Args:
        features (np.ndarray): (N, d).
        method (str): 'tsne' keeps neighbours together, 'pca' shows the two directions of the largest variance.
        perplexity (float): Of t-SNE; at most a third of the points.
        seed (int): Of both.

    Returns:
        np.ndarray: (N, 2), in [0, 1].

    Raises:
        ValueError: Another method, or fewer than two features.
    """
    features = np.asarray(features, np.float64)
    if method not in METHODS:
        raise ValueError(f'method must be one of {METHODS}, got {method!r}')
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f'features are (N, d) with N of 2 at least, got {features.shape}')
    if method == 'pca':
        from sklearn.decomposition import PCA

        kept = min(2, *features.shape)
        plane = np.zeros((len(features), 2))
        plane[:, :kept] = PCA(kept, random_state=seed).fit_transform(features)
    else:
        from sklearn.manifold import TSNE

        usable = len(np.unique(features, axis=0)) > 2 and features.shape[1] > 1
        perplexity = min(perplexity, (len(features) - 1) / 3)
        init = 'pca' if usable else 'random'
        plane = TSNE(2, perplexity=perplexity, init=init, random_state=seed).fit_transform(features)
        plane = plane.astype(np.float64)
    low, high = plane.min(0), plane.max(0)
    return (plane - (low + high) / 2) / max((high - low).max(), 1e-9) + 0.5
