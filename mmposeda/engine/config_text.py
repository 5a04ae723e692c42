"""Values as a readable config has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmposeda.compat.config_format import lay_out


def config_text(value: Any, indent: int = 0) -> str:
    """A value as a config has it, broken where lines get long; strings like ``@_base_.codec@`` become those names."""
    if isinstance(value, str):
        return value[1:-1] if value[:1] == value[-1:] == '@' else repr(value)
    if isinstance(value, Mapping) and all(isinstance(key, str) and key.isidentifier() for key in value):
        opening, closing = 'dict(', ')'
        parts = [f'{key}={config_text(value[key], indent + 4)}' for key in sorted(value, key=lambda key: key != 'type')]
    elif isinstance(value, Mapping):
        opening, closing = '{', '}'
        parts = [f'{key!r}: {config_text(item, indent + 4)}' for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        opening, closing = '[]' if isinstance(value, list) else '()'
        parts = [config_text(item, indent + 4) for item in value]
        if isinstance(value, tuple) and len(parts) == 1:
            parts[0] += ','
    else:
        return repr(value)
    return lay_out(opening, parts, closing, indent)
