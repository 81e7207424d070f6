"""Small pieces of HTML. Whatever comes from a dataset goes through `text`."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

# Control characters are no HTML; Unicode has a picture of each.
PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


def text(value: object, most: int = 200) -> str:
    """Return a value as text that is nothing but text to a browser, cut after `most` characters."""
    shown = str(value)
    if len(shown) > most:
        shown = f"{shown[:most]}…"
    printable = shown.translate(PICTURES).encode("utf-8", "replace").decode()
    return html.escape(printable, quote=True)


def name(value: object) -> str:
    """Return a name as HTML; its direction of writing does not reach what stands around it."""
    return f"<bdi>{text(value)}</bdi>"


def number(value: float) -> str:
    """Return a number for people: 12,345 or 0.25."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; the first column names the rows, the others are numbers."""
    lines = [
        '<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{text(caption)}"><table><caption>{text(caption)}</caption>',
        "<thead><tr>" + "".join(f'<th scope="col">{text(h)}</th>' for h in head) + "</tr></thead>",
        "<tbody>",
    ]
    for first, *rest in rows:
        cells = "".join(f"<td>{_cell(value)}</td>" for value in rest)
        lines.append(f'<tr><th scope="row">{name(first)}</th>{cells}</tr>')
    return "\n".join([*lines, "</tbody></table></div>"])


def _cell(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    return name(value)


def section(anchor: str, title: str, *content: str) -> str:
    """Return a part of the page that its navigation can go to."""
    return "\n".join(
        [f'<section id="{anchor}"><h2>{text(title)}</h2>', *filter(None, content), "</section>"]
    )


def paragraph(content: str) -> str:
    """Return a paragraph of plain text."""
    return f"<p>{text(content, most=2000)}</p>"
