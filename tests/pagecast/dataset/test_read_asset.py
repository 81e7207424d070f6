"""No worker and no reader takes an asset that is not what its name says."""

import hashlib
from pathlib import Path

import pytest

from pagecast.dataset.assets import DamagedAssetError, load_renderer, read_asset
from pagecast.style.entry import StyleEntry
from pagecast.style.sheet import StyleSheet
from pagecast.tokens.tokenizer import load_tokenizer


def test_an_asset_is_checked_against_its_name(tmp_path: Path) -> None:
    name = hashlib.sha256(b"font").hexdigest()
    path = tmp_path / "_pagecast/assets" / f"{name}.ttf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"font")
    assert read_asset(str(path)) == b"font"
    path.write_bytes(b"fout")
    with pytest.raises(DamagedAssetError, match="is damaged: its SHA-256 is not its name; the sa"):
        read_asset(str(path))
    with pytest.raises(DamagedAssetError):
        load_renderer(str(tmp_path), StyleSheet((StyleEntry.of({"fonts": name}),)))


def test_the_tokenizer_is_checked(tmp_path: Path) -> None:
    path = tmp_path / f"{'0' * 64}.json"
    path.write_bytes(b"{}")
    with pytest.raises(DamagedAssetError):
        load_tokenizer(str(path))
