"""Laying configs out in lines, in time that grows with their length.

MMEngine formats the whole config with yapf at the start of every run and for its checkpoints; yapf weighs where to
break lines and takes seconds for a staged config.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Sequence

WIDTH = 104


def lay_out(opening: str, parts: Sequence[str], closing: str, indent: int) -> str:
    """Put the parts of a call, list, … into one line, or where it gets too long or holds breaks, one below the other.

    Args:
        opening (str): With the bracket.
        parts (Sequence[str]): Written for an indent of four more.
        closing (str): The bracket.
        indent (int): Of the line it stands in, characters.
    """
    line = opening + ', '.join(parts) + closing
    if len(line) + indent <= WIDTH and '\n' not in line:
        return line
    space = '\n' + ' ' * (indent + 4)
    return opening + space + f',{space}'.join(parts) + ',\n' + ' ' * indent + closing


def format_config(text: str) -> str:
    """Lay out the assignments of a config; anything else stands as Python writes it.

    Args:
        text (str): Python code.

    Returns:
        str: The same code, without its comments and blank lines.

    Raises:
        SyntaxError: The text is no Python.
    """
    lines = []
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            lines.append(f'{ast.unparse(statement.targets[0])} = {_written(statement.value, 0)}')
        else:
            lines.append(ast.unparse(statement))
    return '\n'.join(lines) + '\n'


def has_comments(text: str) -> bool:
    """Whether a Python text has comments, which :func:`format_config` would lose."""
    if '#' not in text:
        return False
    return any(token.type == tokenize.COMMENT for token in tokenize.generate_tokens(io.StringIO(text).readline))


def _written(node: ast.expr, indent: int) -> str:
    inner = indent + 4
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        parts = [_written(argument, inner) for argument in node.args]
        parts += [(f'{word.arg}=' if word.arg else '**') + _written(word.value, inner) for word in node.keywords]
        return lay_out(f'{node.func.id}(', parts, ')', indent) if parts else f'{node.func.id}()'
    if isinstance(node, ast.Dict) and node.keys and None not in node.keys:
        pairs = zip(node.keys, node.values)
        return lay_out('{', [f'{ast.unparse(key)}: {_written(value, inner)}' for key, value in pairs], '}', indent)
    if isinstance(node, ast.List) and node.elts:
        return lay_out('[', [_written(element, inner) for element in node.elts], ']', indent)
    if isinstance(node, ast.Tuple) and len(node.elts) > 1:
        return lay_out('(', [_written(element, inner) for element in node.elts], ')', indent)
    return ast.unparse(node)
