"""A report as one HTML file: text, tables and pictures, with nothing that lies elsewhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

_STYLE = """
:root { --ink: #1c2430; --soft: #5d6875; --line: #dfe4ea; --wash: #f5f7f9; --accent: #0072b2; --warn: #b34700; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--wash); color: var(--ink); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; font-size: 15px; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 27px; margin: 0 0 4px; line-height: 1.25; }
h2 { font-size: 19px; margin: 0 0 8px; }
h3 { font-size: 15px; margin: 18px 0 6px; }
.sub { color: var(--soft); margin: 0 0 20px; overflow-wrap: anywhere; }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 18px 22px; margin: 0 0 18px; }
p { margin: 0 0 10px; max-width: 78ch; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 12px; margin: 0 0 18px; }
.card { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
.card b { display: block; font-size: 23px; line-height: 1.3; color: var(--accent); }
.card span { color: var(--soft); font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; margin: 4px 0 10px; }
th, td { padding: 4px 14px 4px 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
td.n, th.n { text-align: right; }
td.wrap { overflow-wrap: anywhere; } td.wrap:first-child { overflow-wrap: normal; white-space: nowrap; }
.bar { display: inline-block; height: 9px; background: var(--accent); border-radius: 2px; vertical-align: middle; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 14px; }
figure { margin: 0 0 12px; }
figure img { display: block; max-width: 100%; height: auto; border-radius: 4px; }
.gallery figure { margin: 0; } .gallery img { width: 100%; }
figcaption { color: var(--soft); font-size: 13px; margin-top: 4px; overflow-wrap: anywhere; }
.warn { border-left: 4px solid var(--warn); background: #fff6ef; padding: 8px 14px; margin: 0 0 10px; }
.good { border-left: 4px solid #009e73; background: #f0faf6; padding: 8px 14px; margin: 0 0 10px; }
pre { background: var(--wash); border: 1px solid var(--line); border-radius: 6px; padding: 10px 12px; overflow-x: auto;
  font-size: 12.5px; line-height: 1.45; }
code { font-size: 13px; } summary { cursor: pointer; color: var(--accent); } li { margin-bottom: 4px; max-width: 78ch; }
"""


class Report:
    """A page that grows section by section. All text is escaped; pictures are inlined.

    Args:
        title (str): Of the page.
        subtitle (str): A line below it.
    """

    def __init__(self, title: str, subtitle: str = ''):
        self.title, self._parts, self._open = title, [], False
        self._parts.append(f'<h1>{escape(title)}</h1>\n<p class="sub">{escape(subtitle)}</p>')

    def cards(self, cards: Iterable[tuple[str, str]]) -> None:
        """A row of numbers, each with what it is."""
        inside = ''.join(f'<div class="card"><b>{escape(n)}</b><span>{escape(what)}</span></div>' for n, what in cards)
        self._add(f'<div class="cards">{inside}</div>')

    def section(self, title: str) -> None:
        """Begin a section."""
        self._close()
        self._parts.append(f'<section>\n<h2>{escape(title)}</h2>')
        self._open = True

    def heading(self, text: str) -> None:
        """Begin a part of a section."""
        self._add(f'<h3>{escape(text)}</h3>')

    def text(self, text: str, kind: str = '') -> None:
        """A paragraph; ``kind`` 'warn' or 'good' makes it stand out."""
        self._add(f'<p class="{kind}">{escape(text)}</p>' if kind else f'<p>{escape(text)}</p>')

    def items(self, items: Iterable[str]) -> None:
        """A list of points."""
        self._add('<ul>' + ''.join(f'<li>{escape(item)}</li>' for item in items) + '</ul>')

    def code(self, text: str, summary: str = '') -> None:
        """Text as it is, folded behind a summary if one is given."""
        block = f'<pre>{escape(text)}</pre>'
        self._add(f'<details><summary>{escape(summary)}</summary>{block}</details>' if summary else block)

    def table(self, header: Sequence[str], rows: Iterable[Sequence], bars: int | None = None) -> None:
        """A table; numbers stand to the right.

        Args:
            header (Sequence[str]): Names of the columns; without any the first column heads the rows.
            rows (Iterable[Sequence]): Text, or numbers, which are shown with one digit.
            bars (int, optional): A column of numbers that is drawn as bars, too.
        """
        rows = [list(row) for row in rows]
        most = max([row[bars] for row in rows if np.isfinite(row[bars])] or [0]) if bars is not None else 0
        body = []
        for row in rows:
            cells = [_cell(value) for value in row]
            if not header:
                cells[0] = f'<th>{escape(str(row[0]))}</th>'
            if bars is not None and most > 0 and np.isfinite(row[bars]):
                width = round(140 * row[bars] / most)
                cells.insert(bars + 1, f'<td><span class="bar" style="width:{width}px"></span></td>')
            elif bars is not None:
                cells.insert(bars + 1, '<td></td>')
            body.append(f'<tr>{"".join(cells)}</tr>')
        numeric = [any(not isinstance(row[n], str) for row in rows) for n in range(len(header))]
        heads = [f'<th{" class=n" * number}>{escape(name)}</th>' for name, number in zip(header, numeric)]
        if bars is not None:
            heads.insert(bars + 1, '<th></th>')
        head = f'<thead><tr>{"".join(heads)}</tr></thead>' if header else ''
        self._add(f'<div class="scroll"><table>{head}<tbody>{"".join(body)}</tbody></table></div>')

    def picture(self, picture: np.ndarray | Figure, caption: str = '') -> None:
        """An RGB picture (h, w, 3), uint8, or a figure of matplotlib."""
        self._add(_figure(picture, caption))

    def gallery(self, pictures: Iterable[tuple[np.ndarray, str]]) -> None:
        """Pictures with their captions, side by side as far as there is room."""
        self._add(f'<div class="gallery">{"".join(_figure(*entry) for entry in pictures)}</div>')

    def html(self) -> str:
        """The page."""
        self._close()
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<title>{escape(self.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n'
            + '\n'.join(self._parts)
            + '\n</main>\n</body>\n</html>\n'
        )

    def write(self, path: str | Path) -> Path:
        """Write the page, and return its path."""
        Path(path).write_text(self.html(), encoding='utf-8')
        return Path(path)

    def _add(self, part: str) -> None:
        self._parts.append(part)

    def _close(self) -> None:
        if self._open:
            self._parts.append('</section>')
        self._open = False


def _cell(value) -> str:
    if isinstance(value, str):
        return f'<td class="wrap">{escape(value)}</td>'
    if isinstance(value, int):
        return f'<td class="n">{value}</td>'
    return f'<td class="n">{value:.1f}</td>' if np.isfinite(value) else '<td class="n">–</td>'


def _figure(picture: np.ndarray | Figure, caption: str) -> str:
    if isinstance(picture, Figure):
        content, kind = io.BytesIO(), 'png'
        picture.savefig(content, format='png')
        data = content.getvalue()
    else:
        kind, options = 'jpeg', [cv2.IMWRITE_JPEG_QUALITY, 88]
        data = cv2.imencode('.jpg', np.ascontiguousarray(picture[..., ::-1]), options)[1].tobytes()
    source = f'data:image/{kind};base64,{base64.b64encode(data).decode()}'
    below = f'<figcaption>{escape(caption)}</figcaption>' if caption else ''
    return f'<figure><img src="{source}" alt="{escape(caption, quote=True)}">{below}</figure>'
