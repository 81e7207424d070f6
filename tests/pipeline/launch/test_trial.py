"""What a trial of the tokenizer on the input finds before a job."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pagecast.dataset.sample import Article
from pagecast.tokens import tokenizer as tokens
from pagecast.tokens.tokenizer import FastTokenizer, ReferenceTokenizer
from pipeline.launch import inputs
from pipeline.launch.assets import Asset
from pipeline.launch.trial import PLACES, ROWS, is_quick, sample
from pipeline.options import BUILTIN, RunOptions
from tests.conftest import write_parquet
from tests.pagecast.tokens.test_control import KINDS


@pytest.fixture
def small_json(small_tokenizer: Path) -> bytes:
    return (small_tokenizer / "small/tokenizer.json").read_bytes()


def options(path: Path, **more: object) -> RunOptions:
    return RunOptions(input=(str(path),), output_dir="out", tokenizer="small", **more)


def files_of(asked: RunOptions) -> list[inputs.InputFile]:
    return inputs.read_layouts(inputs.find_files(asked.input), asked.shard_rows)


def table(texts: list[str | None], **more: object) -> dict[str, object]:
    return {"id": [f"w/{n}" for n in range(len(texts))], "title": [""] * len(texts), "text": texts}


def tried(path: Path, definition: bytes) -> bool:
    asked = options(path)
    return is_quick(asked, files_of(asked), Asset("small", ".json", definition))


@pytest.mark.parametrize(
    ("rows", "text", "is_slow"), [(2, 400_000, True), (3, 400_000, False), (1001, 1, False)]
)
def test_for_little_input_fastokens_is_not_worth_loading(
    tmp_path: Path, rows: int, text: int, is_slow: bool
) -> None:
    path = write_parquet(tmp_path / "a.parquet", table([str(n) * text for n in range(rows)]))
    asked = RunOptions(input=(str(path),), output_dir="out")
    assert is_quick(asked, files_of(asked), Asset(BUILTIN, ".json", b"")) is not is_slow


def test_a_tokenizer_that_keeps_all_is_used_without_a_word(
    tmp_path: Path, small_json: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_parquet(tmp_path / "a.parquet", table(["the γάτα 😀", None, ""]))
    assert tried(path, small_json)
    assert capfd.readouterr().err == ""


def test_where_fastokens_differs_on_the_input_tokenizers_is_used(
    tmp_path: Path,
    small_json: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    right = FastTokenizer.encode
    monkeypatch.setattr(
        FastTokenizer, "encode", lambda self, text: right(self, text.replace("Gánti", "G"))
    )
    path = write_parquet(tmp_path / "a.parquet", table(["the cat", "to Gánti"]))
    assert not tried(path, small_json)
    assert capfd.readouterr().err == (
        "pagecast: warning: fastokens differs from tokenizers on article w/1; tokenizing with "
        "tokenizers, slower\n"
    )
    slow = tokens.ArticleTokenizer(small_json, quick=False)
    assert not slow.is_quick
    text = "to Gánti"
    assert np.array_equal(slow.encode(text), ReferenceTokenizer(small_json).encode(text))


def test_losses_are_warned_of(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    texts = ["the cat sat", "the γάτα sat", "the\ncat"]
    path = write_parquet(tmp_path / "a.parquet", table(texts))
    tried(path, json.dumps(KINDS["wordlevel"]()).encode())
    assert (
        "warning: tokenizer small does not keep 2 of 3 sampled articles as they are (first: w/1, "
        "'γάτα sat' became '\ufffd sat'); the manifest will count all such articles\n"
    ) in capfd.readouterr().err


def test_the_sample_is_of_several_places_and_bounded(tmp_path: Path) -> None:
    for name in "abcdefgh":
        write_parquet(tmp_path / f"{name}.parquet", table([f"{name}{n}" for n in range(100)]))
    asked = options(tmp_path)
    found = [article.text for article in sample(asked, files_of(asked))]
    assert len(found) == PLACES * ROWS
    assert {text[0] for text in found} == set("aceg")
    first = options(tmp_path, num_articles=3)
    assert [a.text for a in sample(first, files_of(first))] == ["a0", "a1", "a2"]


def test_what_cannot_be_read_is_left_to_the_job(tmp_path: Path) -> None:
    good = write_parquet(tmp_path / "good.parquet", table(["the cat"]))
    (tmp_path / "bad.parquet").write_bytes(good.read_bytes()[:-20])
    content = bytearray(good.read_bytes())
    content[20:60] = b"\xff" * 40
    (tmp_path / "damaged.parquet").write_bytes(bytes(content))
    names = pa.array([b"\xff", b"the dog"], pa.binary()).view(pa.string())
    write_parquet(tmp_path / "utf.parquet", {**table(["", ""]), "text": names})
    asked = options(tmp_path)
    found: list[Article] = list(sample(asked, files_of(asked)))
    assert [article.text for article in found if article.text != "the cat"] == ["the dog"]
    assert found[-1].wiki_id == "w/1"


class PanicException(BaseException):
    """What a library in Rust raises when it panics, by its name."""


def panic(*_: object, **__: object) -> None:
    raise PanicException("index out of bounds")


def test_a_panic_is_an_error_of_the_tokenizer(
    small_json: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer = tokens.ArticleTokenizer(small_json)
    wanted = tokenizer.encode("the cat").tolist()

    class Panics:
        encode = encode_batch_fast = encode_ordinary = decode = panic

    assert tokenizer._fast is not None
    tokenizer._fast._tokenizer = Panics()
    assert tokenizer.encode("the cat").tolist() == wanted
    assert "fastokens gave up on a text (the library panicked: index out of bounds)" in caplog.text
    tokenizer._reference._encoder = Panics()
    with pytest.raises(RuntimeError, match="the library panicked: index out of bounds"):
        tokenizer.encode("the cat")
    with pytest.raises(RuntimeError, match="the library panicked"):
        tokenizer.decode(np.array(wanted))


def test_a_definition_that_panics_is_refused(
    small_json: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Loader:
        from_str = panic

    monkeypatch.setattr(tokens, "Tokenizer", Loader)
    with pytest.raises(ValueError, match=r"not a usable tokenizer\.json: the library panicked"):
        tokens.ArticleTokenizer(small_json)
