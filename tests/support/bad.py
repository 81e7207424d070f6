"""Ways to make bad files, and finished datasets to damage."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fontTools.ttLib import TTFont
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from pagecast.render.fonts import default_font
from pagecast.tokens import tokenizer as tokens
from pagecast.tokens.tokenizer import FastTokenizer, ReferenceTokenizer
from pipeline.__main__ import main
from tests.conftest import articles, write_parquet

LONG = " ".join(f"Word {n} of an article that is long enough." for n in range(12))
SMALL = "--min_tokens 50 --context_tokens 25 --continuation_tokens 25 --modes tiny --workers 1"

Make = Callable[[Path], Any]


class Bad(NamedTuple):
    """What is wrong, the arguments that meet it, and what is to come of them.

    `--output_dir out`, the options `SMALL` and, for exit codes 0 and 1, `--input good.parquet`
    are added to the arguments where they name no other.
    """

    make: Make
    args: str
    code: int
    phrase: str


def nothing(_: Path) -> None:
    """Make no file but the good one."""


def file(name: str, content: bytes) -> Make:
    return lambda at: (at / name).write_bytes(content)


def damaged(damage: Callable[[bytes], bytes], **how: Any) -> Make:
    """Make bad.parquet: a good file, written as `how` says, after the damage."""

    def make(at: Path) -> None:
        pq.write_table(pa.table(articles(LONG, "b" * 200)), at / "bad.parquet", **how)
        content = (at / "bad.parquet").read_bytes()
        (at / "bad.parquet").write_bytes(damage(content))

    return make


def overwritten(what: bytes, by: bytes) -> Callable[[bytes], bytes]:
    def damage(content: bytes) -> bytes:
        assert what in content
        return content.replace(what, by, 1)

    return damage


def flipped(bits: int) -> Callable[[bytes], bytes]:
    """Flip bits near the end of the page of the texts; its beginning is a copy of the longest."""

    def damage(content: bytes) -> bytes:
        chunk = pq.read_metadata(io.BytesIO(content)).row_group(0).column(2)
        at = chunk.data_page_offset + chunk.total_compressed_size - 30
        return content[:at] + bytes(b ^ bits for b in content[at : at + 24]) + content[at + 24 :]

    return damage


def misnamed(at: Path) -> None:
    """Make a file whose name is not UTF-8, and articles that get their ids from it."""
    columns(title=["t"], text=[LONG])(at)
    (at / "in").mkdir()
    (at / "bad.parquet").rename(at / "in" / os.fsdecode(b"bad\xff.parquet"))


def columns(**values: Any) -> Make:
    """Make bad.parquet of these columns."""
    return lambda at: pq.write_table(pa.table(values), at / "bad.parquet", row_group_size=1)


def texts(values: list[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind)


def raw(*values: bytes) -> pa.Array:
    """Return a column of strings that are not checked."""
    return pa.array(values, pa.binary()).view(pa.string())


def ids(*values: str) -> Make:
    return columns(id=list(values), title=["t"] * len(values), text=[LONG] * len(values))


def twice(at: Path) -> None:
    names, column = ["title", "text", "text"], texts([LONG], pa.string())
    pq.write_table(pa.Table.from_arrays([column] * 3, names), at / "bad.parquet")


def zipped(at: Path) -> None:
    with zipfile.ZipFile(at / "bad.parquet", "w") as archive:
        archive.write(at / "good.parquet")


def no_rows(groups: int) -> Make:
    def make(at: Path) -> None:
        schema = pa.schema([("title", pa.string()), ("text", pa.string())])
        with pq.ParquetWriter(at / "bad.parquet", schema) as writer:
            for _ in range(groups):
                writer.write_table(schema.empty_table())

    return make


def lines(*records: Any) -> Make:
    """Make bad.jsonl of records, or of what is not JSON."""
    content = b"".join(r if isinstance(r, bytes) else json.dumps(r).encode() for r in records)
    return file("bad.jsonl", content)


def record(**change: Any) -> bytes:
    return json.dumps({"id": "i", "title": "t", "text": "x", "tokens": [87], **change}).encode()


def fifo(name: str) -> Make:
    def make(at: Path) -> None:
        (at / name).parent.mkdir(exist_ok=True)
        os.mkfifo(at / name)

    return make


def dangling(name: str) -> Make:
    def make(at: Path) -> None:
        (at / name).parent.mkdir(exist_ok=True)
        (at / name).symlink_to("nowhere")

    return make


def directory(name: str) -> Make:
    return lambda at: (at / name).mkdir()


def font_without_characters(at: Path) -> None:
    with TTFont(io.BytesIO(default_font())) as font:
        font["cmap"].tables = []
        font.save(at / "bad.ttf")


def tokenizer(content: bytes) -> Make:
    def make(at: Path) -> None:
        (at / "tok").mkdir()
        (at / "tok/tokenizer.json").write_bytes(content)

    return make


def model(**fields: Any) -> bytes:
    return json.dumps({"version": "1.0", "added_tokens": [], "model": fields}).encode()


@cache
def finished_dataset() -> dict[str, bytes]:
    """Return the files of a finished dataset of good.parquet."""
    with TemporaryDirectory() as home:
        at = Path(home)
        good = write_parquet(at / "good.parquet", articles(LONG, LONG))
        assert (
            main(["run", "--input", str(good), "--output_dir", f"{home}/out", *SMALL.split()]) == 0
        )
        return {os.path.relpath(name, at): content for name, content in contents(at).items()}


def finished(damage: Make) -> Make:
    """Make a finished dataset in `out`, then damage it."""

    def make(at: Path) -> None:
        for name, content in finished_dataset().items():
            (at / name).parent.mkdir(parents=True, exist_ok=True)
            (at / name).write_bytes(content)
        damage(at)

    return make


def config(change: Callable[[dict[str, Any]], Any]) -> Make:
    def make(at: Path) -> None:
        path = at / "out/_pagecast/config.json"
        content = json.loads(path.read_bytes())
        path.write_text(json.dumps(change(content)))

    return finished(make)


def both(*makes: Make) -> Make:
    def make(at: Path) -> None:
        for one in makes:
            one(at)

    return make


def names(at: Path) -> set[str]:
    """Return everything that is there, without following links."""
    return {os.path.join(base, name) for base, *below in os.walk(at) for part in below
            for name in part}  # fmt: skip


def contents(at: Path) -> dict[str, bytes]:
    """Return the content of all files, private ones too; pipes are not read."""
    return {name: Path(name).read_bytes() for name in names(at) if Path(name).is_file()}


@cache
def byte_tokenizer() -> bytes:
    """Return a tokenizer whose tokens are bytes: the built-in one takes a second to make."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    it = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    it.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    it.decoder = decoders.ByteLevel()
    it.add_special_tokens(["<s>"])
    return it.to_str().encode()


@pytest.fixture(scope="module")
def small_tokenizer() -> Iterator[None]:
    """Put the tokenizer of bytes in place of the built-in one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.launch.assets.builtin_tokenizer", byte_tokenizer)
        checked = tokens._checked

        def check(definition: bytes, reference: ReferenceTokenizer) -> FastTokenizer | None:
            own = definition == byte_tokenizer()  # fastokens cannot read it, which would be said
            return None if own else checked(definition, reference)

        patch.setattr(tokens, "_checked", check)
        yield
