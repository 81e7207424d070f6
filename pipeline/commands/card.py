"""The dataset card: what the hub shows of a dataset, made from its manifest."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from huggingface_hub import DatasetCard, DatasetCardData

from pagecast import VISION_MODES, PageReader
from pagecast.dataset.layout import FILES, NONE, SHARDS
from pagecast.dataset.manifest import fonts_of, sheet_of
from pagecast.render.png import encode_png
from pagecast.style.entry import style_of
from pipeline.cli.stylefile import read_styles
from pipeline.data import data_file
from pipeline.launch import languages
from pipeline.launch.assets import DEFAULT_FONT
from pipeline.options import BUILTIN, FINEWIKI, STYLES, RunOptions

SHOWN_PX = 1024  # at most, of the page in the card
FORMS = {SHARDS: ["--image_shards"], NONE: ["--no_images"], FILES: list[str]()}
BOUNDS = ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B"]  # 10 ** 3 and so on
LICENCE = "cc-by-sa-4.0"  # Wikipedia's
KNOWN_MODES = [mode.name for mode in VISION_MODES]
TAGS = ["vision-text-compression", "pagecast"]
PAGE = "page.png"
STYLE_FILE = "style.yaml"
DEFAULTS = {"layout": "basic", "line_break": "spaces"}  # what they are where nothing was asked for


class Example(NamedTuple):
    """A page of the dataset, as a file."""

    id: str
    wiki_id: str
    mode: str
    px: int
    png: bytes
    file: str = PAGE


def example_of(reader: PageReader) -> Example:
    """Return the first train sample's page at the largest mode that a card has room for."""
    fitting = [mode for mode, px in reader.modes.items() if px <= SHOWN_PX] or [*reader.modes]
    mode = max(fitting, key=reader.modes.__getitem__)
    sample = reader["train"][0]
    image = reader.image(sample, mode)
    return Example(sample["id"], sample["wiki_id"], mode, image.width, encode_png(image, 9))


def make_card(
    manifest: Mapping[str, Any],
    repo: str,
    form: str,
    data_files: Mapping[str, str],
    example: Example,
    codes: Sequence[str],
    licence: str | None,
) -> str:
    """Return a card in Markdown, with the YAML that the hub reads first.

    Args:
      form: `layout.PARQUET`, or how images are stored beside the JSON lines.
      data_files: a pattern for each split.
      codes: of the Wikipedias whose articles these are.
      licence: by the hub's name of it; Wikipedia's where the articles are that, if None.
    """
    is_wikipedia = bool(codes) or FINEWIKI in [s["repo"] for s in manifest["source"]]
    samples = sum(manifest["split"][split]["samples"] for split in ("train", "val"))
    name = repo.rsplit("/", 1)[-1]
    splits = {"train": "train", "val": "validation"}
    card_data = DatasetCardData(
        pretty_name=name,
        language=sorted({languages.WIKIPEDIAS.get(code, code) for code in codes}) or None,
        license=licence or (LICENCE if is_wikipedia else None),
        size_categories=size_category(samples),
        task_categories=["image-to-text", "text-generation"],
        tags=[*TAGS, *["wikipedia"] * is_wikipedia],
        source_datasets=[source["repo"] for source in manifest["source"]] or None,
        configs=[
            {
                "config_name": "default",
                "data_files": [
                    {"split": splits[split], "path": path} for split, path in data_files.items()
                ],
            }
        ],
    )
    sheet = sheet_of(manifest)
    card = DatasetCard.from_template(
        card_data,
        template_str=data_file("dataset_card.md").read_text(encoding="utf-8"),
        pretty_name=name,
        repo=repo,
        form=form,
        example=example,
        samples=samples,
        source=", ".join(
            f"[{s['repo']}](https://huggingface.co/datasets/{s['repo']}) at `{s['commit']}`"
            for s in manifest["source"]
        ),
        is_wikipedia=is_wikipedia,
        splits={split: manifest["split"][split] for split in ("train", "val")},
        modes=manifest["vision_modes"],
        command=command_of(manifest),
        renderer=f"PageStyle({style})" if (style := ", ".join(_style(manifest, example))) else "",
        fonts=fonts_of(manifest),
        example_fonts=_fonts(manifest, example),
        layouts=sheet.values_of("layout"),
        is_varied=sheet.is_varied,
        is_paged=sheet.is_paged,
        is_coloured=sheet.is_coloured,
        sizes={
            mode: ", ".join(
                f"{width} × {height}" for width, height in sorted(sheet.page_sizes(table["px"]))
            )
            for mode, table in manifest["vision_modes"].items()
        },
        style_file=style_file(manifest),
        **{key: manifest[key] for key in ("options", "versions", "counts", "tokenizer")},
        context_tokens=manifest["options"]["context_tokens"],
        continuation_tokens=manifest["options"]["continuation_tokens"],
    )
    return str(card)


def is_ours(card: bytes) -> bool:
    """Tell whether a card, which somebody else may have written, has the tags of one made here."""
    return all(f"\n- {tag}\n".encode() in card for tag in TAGS)


def languages_of(paths: Iterable[str], example: Example) -> list[str]:
    """Return the codes of the Wikipedias that input is of, by FineWiki's directories or ids."""
    found = {match[1] for match in map(languages.SUBSET.search, paths) if match}
    if not found:
        found = {match[1] for match in [languages.WIKI_ID.match(example.wiki_id)] if match}
    return sorted(code.replace("_", "-") for code in found)


def size_category(samples: int) -> str:
    """Return the hub's name for a dataset of so many samples.

    >>> size_category(999), size_category(1000), size_category(2 * 10**10)
    ('n<1K', '1K<n<10K', 'n>10B')
    """
    at = max(0, len(str(samples)) - 3)  # how many of the bounds are reached
    if at == 0:
        return f"n<{BOUNDS[0]}"
    return f"{BOUNDS[at - 1]}<n<{BOUNDS[at]}" if at < len(BOUNDS) else f"n>{BOUNDS[-1]}"


def command_of(manifest: Mapping[str, Any]) -> str:
    """Return the `run` command that makes such a dataset; local places without what is above."""
    options, outputs = manifest["options"], manifest["outputs"]
    words = ["pagecast", "run", "--input", *_places([file["path"] for file in manifest["inputs"]])]
    words += ["--output_dir", "out"]
    for name, value in options.items():
        if name == "images":
            words += FORMS[value]
        elif name == "modes":
            modes = manifest["vision_modes"]
            if list(modes) != list(KNOWN_MODES):
                named = [m if m in KNOWN_MODES else f"{m}={modes[m]['px']}" for m in modes]
                words += ["--modes", ",".join(named)]
        elif name in ("style", "styles"):
            words += ["--style", _shipped(manifest) or STYLE_FILE]
            words += ["--vary", "train"] * (sheet_of(manifest).candidates is not None)
        elif value not in (None, DEFAULTS.get(name), getattr(RunOptions, name, None)):
            words += [f"--{name}", str(value)]
    words += [f"--{name}" for name in ("arrow", "parquet", "filtered") if outputs.get(name)]
    return shlex.join(words)


def style_file(manifest: Mapping[str, Any]) -> str | None:
    """Return the file that the command needs for the styles, where they are not shipped."""
    if not {"style", "styles"} & manifest["options"].keys() or _shipped(manifest):
        return None
    names = {
        font["sha256"]: BUILTIN if font["name"] == DEFAULT_FONT else font["name"]
        for font in fonts_of(manifest)
    }
    sheet = sheet_of(manifest)
    sheet = sheet.with_fonts({sha256: (name,) for sha256, name in names.items()})
    every = []
    for entry in sheet.entries:
        fields = entry.plain()
        if not sheet.is_varied:  # these are options of their own
            fields = {n: v for n, v in fields.items() if n not in ("layout", "line_break", "fonts")}
        elif list(names.values()) == [BUILTIN]:
            fields.pop("fonts")
        named = {"name": entry.name, "weight": entry.weight} if sheet.is_varied else {}
        every.append(named | fields)
    content = {"styles": every} if sheet.is_varied else every[0]
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100).rstrip()


def _shipped(manifest: Mapping[str, Any]) -> str | None:
    """Return the name of the style among those that are shipped, if it is one."""
    style = manifest["options"].get("style")
    return next((n for n in STYLES if read_styles(n).entries[0].plain() == style), None)


def _fonts(manifest: Mapping[str, Any], example: Example | None) -> list[str]:
    """Return the names of the fonts that the example's page is drawn with."""
    names = {font["sha256"]: font["name"] for font in fonts_of(manifest)}
    return [names[sha256] for sha256 in _drawn(manifest, example)["fonts"]]


def _drawn(manifest: Mapping[str, Any], example: Example | None) -> dict[str, Any]:
    of = (example.id, example.wiki_id) if example else ("", "")
    return sheet_of(manifest).drawn(*of)[1]


def _style(manifest: Mapping[str, Any], example: Example | None) -> Iterator[str]:
    """Yield the fields of the example's style, in Python, where they are not the default's."""
    if _fonts(manifest, example) != [DEFAULT_FONT]:
        yield "tuple(open(name, 'rb').read() for name in fonts)"
    for name, value in style_of(_drawn(manifest, example)).changes().items():
        yield f"{name}={value!r}"


def _places(paths: Sequence[str]) -> list[str]:
    """Return the directories of files, or the file where there is only one."""
    if len(paths) == 1:
        return [without_place(paths[0])]
    return sorted({without_place(path).rpartition("/")[0] or "." for path in paths})


def without_place(path: str) -> str:
    """Return a path without what is nobody's business: of local ones the last two names stay."""
    if path.startswith("hf://"):
        return path
    return "/".join(path.split("://", 1)[-1].split("/")[-2:])


def public_manifest(manifest: Mapping[str, Any]) -> bytes:
    """Return a manifest as a reader of the published dataset needs it.

    Input files are named without their place, and a named split stands for itself.
    """
    inputs = [{**file, "path": without_place(file["path"])} for file in manifest["inputs"]]
    public = {key: value for key, value in manifest.items() if key != "root"} | {"inputs": inputs}
    return json.dumps(public, indent=2).encode("ascii") + b"\n"
