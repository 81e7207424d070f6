"""Whether pages drawn here are those that were drawn elsewhere: asked of a page, not of versions.

A dataset records the SHA-256 of the pixels of a probe page for each mode. Other versions of Pillow
or FreeType mostly draw the same, and the same versions may be built otherwise: whoever draws pages
of a dataset draws its probe page first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from pagecast.dataset.manifest import sheet_of
from pagecast.dataset.versions import page_versions
from pagecast.render.fonts.characters import covered_codepoints
from pagecast.style.drawing import SheetRenderer
from pagecast.style.sheet import StyleSheet

PROBE = "probe"  # in a configuration and a manifest: mode to SHA-256
# Letters with and without accents, composed and not; kerning and ligatures; digits, punctuation.
LATIN = """
The quick brown fox jumps over the lazy dog. PACK MY BOX WITH FIVE DOZEN LIQUOR JUGS; "Quoted",
'single', (round) [square] {curly} <angle> & 100% + 3.14159 = $2,718.28? #1 @home * a/b \\ c|d ~ ^_!
AVAWAY To Ta Te Tr Ty Wa We Wo Ya Yo LT LV LY P. F, V. W, Y: r. r, f' ff fi fl ffi ffl office flight
0123456789 1/2 10-11 12:34 5\u00d76 7\u22128 9\u00b1 \u00bd \u00b2\u00b3 \u20ac\u00a3\u00a5 \u2013
\u2014 \u2018\u2019 \u201c\u201d \u2026 \u2020 \u2022 \u00a7 \u00b6 \u00a9 \u00ae \u2122 \u00b0
\u00c0\u00c1\u00c2\u00c3\u00c4\u00c5\u00c6\u00c7\u00c8\u00c9\u00ca\u00cb\u00cc\u00cd\u00ce\u00cf
\u00d0\u00d1\u00d2\u00d3\u00d4\u00d5\u00d6\u00d8\u00d9\u00da\u00db\u00dc\u00dd\u00de\u00df\u00e0
\u00e1\u00e2\u00e3\u00e4\u00e5\u00e6\u00e7\u00e8\u00e9\u00ea\u00eb\u00ec\u00ed\u00ee\u00ef\u00f0
\u00f1\u00f2\u00f3\u00f4\u00f5\u00f6\u00f8\u00f9\u00fa\u00fb\u00fc\u00fd\u00fe\u00ff \u0100\u0101
\u010c\u010d\u0111\u0118\u0119\u011f\u0131\u0141\u0142\u0151\u0153\u0158\u0159\u0160\u0161\u016b
\u0179\u017e e\u0301 o\u0308 n\u0303 a\u030a u\u0304\u0301
"""
MOST = 200  # characters of the fonts' own, of all of them together
WORD = 7  # of those in a row
REPEATED = 6  # so that letters are as small as those of a thousand tokens
FIRST_GRAPHIC, BEYOND_CONTROLS, SURROGATES = 0x21, 0xA1, range(0xD800, 0xE000)

REMEDIES = {
    "pillow": "install Pillow {pillow} from PyPI",
    "freetype": "install Pillow {pillow} from PyPI",
    "uniseg": "use the Pagecast that made them, {pagecast}",
    "unicode": "use the version of Python that they were made with",
    "fribidi": "use the Pagecast that made them, {pagecast}",
    "harfbuzz": "install uharfbuzz {harfbuzz}",
    "icu": "install PyICU-wheels {icu}",
    "raqm": "install Pillow {pillow} from PyPI",
}


@cache
def probe_text(fonts: tuple[bytes, ...]) -> str:
    """Return the text of the probe page: a fixed one, and characters all over what fonts have."""
    words = [LATIN] * REPEATED
    for font in fonts:
        codes = sorted(
            code
            for code in covered_codepoints(font)
            if (FIRST_GRAPHIC <= code < 0x7F or code >= BEYOND_CONTROLS) and code not in SURROGATES
        )
        step = max(1, -(-len(codes) * len(fonts) // MOST))
        some = "".join(map(chr, codes[::step]))
        words += [some[at : at + WORD] for at in range(0, len(some), WORD)]
    return " ".join(words)


def probe(renderers: SheetRenderer, modes: Mapping[str, int]) -> dict[str, str]:
    """Return the SHA-256 of the pixels of the probe pages at each mode, a side in pixels each.

    There is a page for all fonts, layouts and line breaks that go together in the sheet's styles.
    """
    hashes = {mode: hashlib.sha256() for mode in modes}
    for renderer in renderers.representatives():
        pages = renderer.render_sizes(probe_text(renderer.fonts), modes.values())
        for mode, page in zip(modes, pages, strict=True):
            hashes[mode].update(page.image.tobytes())
    return {mode: found.hexdigest() for mode, found in hashes.items()}


class Made(NamedTuple):
    """How a dataset's pages were drawn: their styles, the versions that did it, the probe page.

    probe: mode to SHA-256; None where an earlier version recorded none.
    """

    sheet: StyleSheet
    versions: dict[str, str | None]
    probe: dict[str, str] | None


def made_by(record: Mapping[str, Any]) -> Made:
    """Return what a configuration or a manifest says of how pages were drawn.

    Raises:
      KeyError, TypeError, ValueError, AttributeError: it is something else.
    """
    found = dict(record[PROBE]) if PROBE in record else None
    return Made(sheet_of(record), dict(record["versions"]), found)


def unlike(made: Made, renderers: Callable[[], SheetRenderer], modes: Mapping[str, int]) -> str:
    """Say how pages that are drawn here are not those of a dataset; nothing if they are.

    Args:
      made: how they were. Where there is no probe page, versions decide.
      renderers: gives what draws them.
      modes: those that are to be drawn, and the sides of their pages in pixels.
    """
    if made.probe is None:
        return others(made)
    for mode, digest in probe(renderers(), modes).items():
        if digest != (known := made.probe.get(mode)):
            why = others(made) or "by the same versions, built otherwise"
            return (
                f"the probe page of mode {mode} has the SHA-256 {digest} here, {known} "
                f"where they were made; {why}"
            )
    return ""


def others(made: Made) -> str:
    """Name what laid out the pages of a dataset in another version than is here."""
    found = _others(made).items()
    return ", ".join(f"{name} {made.versions[name]}, here {here or 'none'}" for name, here in found)


def remedy(made: Made) -> str:
    """Return what to install so that pages are drawn as they were."""
    wanted = [REMEDIES[name].format(**made.versions) for name in _others(made) or ("pillow",)]
    return ", ".join(dict.fromkeys(wanted))


def _others(made: Made) -> dict[str, str | None]:
    here = page_versions(made.versions, made.sheet)
    return {name: version for name, version in here.items() if made.versions[name] != version}
