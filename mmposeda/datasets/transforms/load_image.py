"""MMPose's ``LoadImage``, which looks at a picture's header first."""

from __future__ import annotations

import io

import mmcv
from mmengine import fileio
from mmpose.datasets.transforms import LoadImage as _LoadImage

from mmposeda.registry import TRANSFORMS

from ..images import MAX_PIXELS, PictureError, check_size, read_size


@TRANSFORMS.register_module()
class LoadImage(_LoadImage):
    """MMPose's class of this name, which refuses too large a picture before decoding it and names what it cannot read.

    A few hundred bytes can hold a picture of gigabytes. The look at the header takes 0.04 ms.

    Args:
        max_pixels (int): Largest width times height.
        kwargs: of MMPose's class.
    """

    def __init__(self, *args, max_pixels: int = MAX_PIXELS, **kwargs):
        super().__init__(*args, **kwargs)
        self.max_pixels = max_pixels

    def transform(self, results: dict) -> dict | None:
        """Add ``img`` (H, W, 3) uint8 BGR, ``img_shape`` and ``ori_shape``, unless ``img`` is there already.

        Raises:
            FileNotFoundError: There is no such file.
            PictureError: It is empty, cut short, no picture, or too large.
        """
        if 'img' in results:
            return super().transform(results)
        try:
            image = self._read(results['img_path'])
        except (PictureError, OSError):
            if self.ignore_empty:
                return None
            raise
        results['img'] = image.astype('float32') if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _read(self, path: str):
        try:
            if self.file_client_args is not None:
                content = fileio.FileClient.infer_client(self.file_client_args, path).get(path)
            else:
                content = fileio.get(path, backend_args=self.backend_args)
        except FileNotFoundError:
            raise FileNotFoundError(f'picture {path} does not exist') from None
        size = read_size(io.BytesIO(content), path)
        check_size(size, path, self.max_pixels, ", or set max_pixels of the pipeline's LoadImage")
        try:
            image = mmcv.imfrombytes(content, flag=self.color_type, backend=self.imdecode_backend)
        except Exception as error:  # each backend has its own
            raise PictureError(f'picture {path} cannot be decoded: {error}') from error
        if image is None:
            raise PictureError(f'picture {path} cannot be decoded: it is cut short or damaged')
        return image
