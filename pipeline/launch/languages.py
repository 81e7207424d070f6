"""What the pages of a language need: `--language`, and a warning where they lack it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from fontTools.unicodedata import script, script_name

from pipeline.options import RunOptions, UsageError
from pipeline.progress.terminal import note

# ISO 15924. Whatever is neither runs from right to left or has letters that change or move beside
# each other: basic layout sets none of it.
PLAIN = {
    "Latn", "Grek", "Cyrl", "Armn", "Geor", "Geok", "Ethi", "Cher", "Cans", "Tfng", "Vaii",
    "Hani", "Hans", "Hant", "Jpan", "Hrkt", "Hira", "Kana", "Bopo", "Kore", "Hang", "Yiii",
    "Runr", "Ogam", "Goth", "Copt", "Glag", "Olck", "Lisu", "Bamu", "Zyyy", "Zinh", "Zzzz",
}  # fmt: skip
# What DejaVu Sans has, with spaces between words: the defaults do.
DEFAULT = {"Latn", "Grek", "Cyrl"}
WITHOUT_SPACES = {
    "Hani", "Hans", "Hant", "Jpan", "Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Yiii", "Lana",
    "Talu", "Tale", "Java", "Bali",
}  # fmt: skip
# Wikipedias whose codes are no languages of CLDR's, or in another script than it would say.
WIKIPEDIAS = {
    "simple": "en", "als": "gsw", "bat-smg": "sgs", "be-x-old": "be", "be-tarask": "be",
    "cbk-zam": "cbk", "fiu-vro": "vro", "map-bms": "jv", "nds-nl": "nds", "roa-rup": "rup",
    "roa-tara": "nap", "zh-classical": "lzh-Hant", "zh-min-nan": "nan-Latn", "zh-yue": "yue",
    "eml": "egl", "nah": "nhn",
}  # fmt: skip
SUBSET = re.compile(r"(?:^|/)data/([a-z][a-z0-9_-]*)wiki(?:/[^/]*)?$")  # or files there
OWN_CHOICE = {"language", "layout", "line_break", "font", "style"}
WIKI_ID = re.compile(r"([a-z][a-z0-9_-]*)wiki/")  # of an article
MANY_MISSING = 0.01  # of the characters on pages
ENOUGH = 0.02  # of the letters of some articles, below which a script is none of theirs


def preset(language: str) -> dict[str, Any]:
    """Return the options that pages of a language need, where they are not the defaults.

    >>> preset("en")
    {}
    >>> preset("th")
    {'layout': 'harfbuzz', 'font': ('auto',), 'line_break': 'unicode'}

    Args:
      language: a code of Wikipedia's or of BCP 47, e.g. "ar", "zh_min_nan", "sr-Latn".

    Raises:
      UsageError: there is no such language, or ICU is not installed.
    """
    code = language.replace("_", "-")
    try:
        import icu
    except ImportError as error:
        raise UsageError("--language needs ICU: pip install 'pagecast[harfbuzz]'") from error
    found = ""
    with suppress(icu.ICUError):  # it is not a tag at all
        locale = icu.Locale.forLanguageTag(WIKIPEDIAS.get(code.lower(), code))
        locale.addLikelySubtags()
        found = locale.getScript()
    if not (code and found):
        raise UsageError(f"--language {language}: no such language is known; give e.g. ar, hi, zh")
    if found in DEFAULT:
        return {}
    needs: dict[str, Any] = {"layout": "harfbuzz", "font": ("auto",)}
    if found in WITHOUT_SPACES:
        needs["line_break"] = "unicode"
    return needs


def applied(options: RunOptions, given: Collection[str] | None = None) -> RunOptions:
    """Return the options with what their language needs, where nothing else was asked for.

    Args:
      given: the names of the options that were given. Where none of them says how pages look, the
        language is that of the input, if FineWiki's directories tell it; None for not looking.
    """
    language = options.language
    if language is None:
        named = given is None or not OWN_CHOICE.isdisjoint(given)
        language = None if named else of_input(options.input)
        if language is None:
            return options
        try:
            needs = preset(language)
        except UsageError:  # no ICU, or a code that is no language: there is a warning of its own
            return options
        if needs:
            note(
                f"the input is of {language}wiki, so pages are set as with --language {language}; "
                "give --language en for the defaults"
            )
    else:
        needs = preset(language)
    return replace(
        options,
        **{name: value for name, value in needs.items()
           if getattr(options, name) == getattr(RunOptions, name)},
    )  # fmt: skip


def of_input(paths: Iterable[str]) -> str | None:
    """Return the language whose Wikipedia all input is of, by FineWiki's directories."""
    found = {name[1] for path in paths if (name := SUBSET.search(path))}
    plain = len(found) == 1 and all(map(SUBSET.search, paths))
    return found.pop() if plain else None


def unset(texts: Iterable[str]) -> list[tuple[str, float]]:
    """Return the scripts in texts that basic layout cannot set, and their shares of the letters."""
    letters: Counter[str] = Counter()
    for text in texts:
        letters.update(character for character in text if character.isalpha())
    scripts: Counter[str] = Counter()
    for character, times in letters.items():
        scripts[script(character)] += times
    total = scripts.total()
    return [
        (script_name(name).replace("_", " "), times / total)
        for name, times in scripts.most_common()
        if name not in PLAIN and times >= ENOUGH * total
    ]


def warning(
    texts: Iterable[str], layouts: Collection[str], paths: Sequence[str] = ()
) -> str | None:
    """Say what layouts cannot set of texts, and what to give instead; None if that is nothing.

    Args:
      paths: of the input, which may name a language where no text was looked at.
    """
    if "basic" not in layouts:
        return None
    if not (found := unset(texts)):
        language = of_input(paths)
        with suppress(UsageError):
            if language is not None and preset(language):
                return (
                    f"the input is of {language}wiki, whose pages want another layout and other "
                    f"fonts than the defaults: give --language {language}"
                )
        return None
    named = ", ".join(f"{name} ({share:.0%})" for name, share in found)
    return (
        f"layout basic cannot set {named} of the letters in the articles that were looked at: they "
        "do not join, or run the wrong way, whatever `missing_glyphs` says; give --layout harfbuzz "
        "--font auto, or --language with the code"
    )


def lacking(samples: Iterable[Mapping[str, Any]]) -> str | None:
    """Say what share of the characters on the pages of samples has no glyph, and what mends it.

    None where that is next to nothing.
    """
    characters = missing = 0
    found = set()
    for sample in samples:
        characters += sum(not character.isspace() for character in sample["context_text"])
        missing += max(page["missing_glyphs"] for page in sample["font_metadata"].values())
        found.add(match[1] if (match := WIKI_ID.match(sample["wiki_id"])) else None)
    if missing <= MANY_MISSING * characters:
        return None
    mends, (code, *others) = "--font auto", found
    with suppress(UsageError):
        if code and not others and preset(code):
            mends = f"--language {code}"
    return (
        f"the fonts have no glyph for {missing / characters:.0%} of the characters on the pages "
        f"that were looked at; {mends} and another --output_dir give pages that have"
    )
