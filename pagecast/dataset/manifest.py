"""What a job's configuration and its manifest say alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pagecast.dataset.split import CANDIDATE_BITS
from pagecast.style.entry import StyleEntry
from pagecast.style.sheet import StyleSheet

EMPTYING = "emptying"  # in the configuration: of what else is there nothing is this job's
ALL, TRAIN = "all", "train"  # which samples vary


def fonts_record(fonts: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return what a configuration and a manifest say of a job's fonts: `font`, or `fonts`."""
    return {"font": fonts[0]} if len(fonts) == 1 else {"fonts": list(fonts)}


def fonts_of(record: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the fonts that a configuration or a manifest names, in their order."""
    return list(record["fonts"]) if "fonts" in record else [record["font"]]


def style_record(sheet: StyleSheet) -> dict[str, Any]:
    """Return what the options of a configuration and a manifest say of styles, fonts apart.

    For pages of one style `layout`, and where they are not the default's `line_break` and `style`,
    with the other fields; else `styles`, with all that decides which sample gets which.
    """
    if sheet.is_varied:
        styles: dict[str, Any] = {"seed": sheet.seed, "vary": ALL}
        if sheet.candidates is not None:
            share = sheet.candidates / (1 << CANDIDATE_BITS)
            styles |= {"vary": TRAIN, "candidates_of_val": share}
        every = ({"name": e.name, "weight": e.weight, **e.plain()} for e in sheet.entries)
        return {"styles": {**styles, "entries": list(every)}}
    fields = sheet.entries[0].plain()
    found = {"layout": "basic"}
    found |= {name: fields.pop(name) for name in ("layout", "line_break") if name in fields}
    fields.pop("fonts", None)
    return found | ({"style": fields} if fields else {})


def sheet_of(record: Mapping[str, Any]) -> StyleSheet:
    """Return the styles that a configuration or a manifest records; fonts are by SHA-256.

    Raises:
      KeyError, TypeError, ValueError, AttributeError: it is not such a record.
    """
    options = record["options"]
    if (styles := options.get("styles")) is None:
        fields = {name: options[name] for name in ("layout", "line_break") if name in options}
        fonts = [font["sha256"] for font in fonts_of(record)]
        return StyleSheet((StyleEntry.of({**fields, **options.get("style", {}), "fonts": fonts}),))
    entries = []
    for entry in styles["entries"]:
        fields = dict(entry)
        entries.append(StyleEntry.of(name=fields.pop("name"), weight=fields.pop("weight"),
                                     given=fields))  # fmt: skip
    share = styles["candidates_of_val"] if styles["vary"] == TRAIN else None
    if share is None:
        return StyleSheet(tuple(entries), int(styles["seed"]))
    if not 0 < share <= 1:
        raise ValueError(f"the candidates of val are {share} of all articles")
    return StyleSheet(tuple(entries), int(styles["seed"]), round(share * (1 << CANDIDATE_BITS)))
