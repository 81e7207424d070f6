"""Bad input of every kind: the right exit code, a line that names it, and never a trace."""

from __future__ import annotations

import gzip
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from pagecast.dataset.receipts import Receipt
from pagecast.render.fonts import default_font
from pipeline.__main__ import main
from tests.conftest import articles, write_parquet
from tests.support.bad import (
    LONG,
    SMALL,
    Bad,
    both,
    columns,
    config,
    contents,
    damaged,
    dangling,
    directory,
    fifo,
    file,
    finished,
    flipped,
    font_without_characters,
    ids,
    lines,
    misnamed,
    model,
    names,
    no_rows,
    nothing,
    overwritten,
    raw,
    record,
    small_tokenizer,
    texts,
    tokenizer,
    twice,
    zipped,
)

SECONDS = 60  # more than any case takes; a pipe that nobody writes to would take forever
__all__ = ["small_tokenizer"]  # a fixture

BAD_FILE = "--input bad.parquet good.parquet"
LINES = "--input bad.jsonl"
FULL = "--input good.parquet"
STRINGS = pa.string()
BAD = [
    # Files that are not parquet, or not all of it.
    Bad(file("bad.parquet", b""), BAD_FILE, 1, "bad.parquet, the whole file: "),
    Bad(file("bad.parquet", b"PAR1"), BAD_FILE, 1, "bad.parquet, the whole file: "),
    Bad(file("bad.parquet", b"PAR1PAR1"), BAD_FILE, 1, "bad.parquet, the whole file: "),
    Bad(file("bad.parquet", b"PAR1\xff\xff\xff\x7fPAR1"), BAD_FILE, 1, "the whole file: "),
    Bad(file("bad.parquet", b"PAR1\0\0\0\0PARE"), BAD_FILE, 1, "the whole file: "),
    Bad(file("bad.parquet", b"Once upon a time\n" * 9), BAD_FILE, 1, "the whole file: "),
    Bad(file("bad.parquet", gzip.compress(b"x" * 99)), BAD_FILE, 1, "the whole file: "),
    Bad(file("bad.parquet", b"\x89PNG\r\n\x1a\n" + bytes(99)), BAD_FILE, 1, "the whole file: "),
    Bad(zipped, BAD_FILE, 1, "bad.parquet, the whole file: "),
    Bad(damaged(lambda c: c[:3]), BAD_FILE, 1, "bad.parquet, the whole file: "),
    Bad(damaged(lambda c: c[:200]), BAD_FILE, 1, "bad.parquet, the whole file: "),
    Bad(damaged(lambda c: c[:-1]), BAD_FILE, 1, "bad.parquet, the whole file: "),
    Bad(damaged(lambda c: c[:-8]), BAD_FILE, 1, "bad.parquet, the whole file: "),
    Bad(damaged(lambda c: c[:-100] + c[-8:]), BAD_FILE, 1, "bad.parquet, the whole file: "),
    Bad(damaged(lambda c: c[:-4] + b"PARE"), BAD_FILE, 1, "bad.parquet, the whole file: "),
    Bad(damaged(lambda c: c[9:]), BAD_FILE, 1, "bad.parquet, row group 0, rows 0 to 1: "),
    # Columns.
    Bad(columns(title=["t"]), BAD_FILE, 1, "it has no column 'text', only title"),
    Bad(columns(text=["t"]), BAD_FILE, 1, "it has no column 'title', only text"),
    Bad(columns(title=["t"], Text=["t"]), BAD_FILE, 1, "no column 'text', only title, Text"),
    Bad(columns(**{"a\nb\x1b[1m": [1]}), BAD_FILE, 1, r"no column 'title', only a\nb\x1b[1m"),
    Bad(columns(title=["t"], text=[1]), BAD_FILE, 1, "'text' holds int64, not strings"),
    Bad(columns(title=["t"], text=[["t"]]), BAD_FILE, 1, "holds list<element: string>, not"),
    Bad(columns(title=["t"], text=[{"a": "t"}]), BAD_FILE, 1, "holds struct<a: string>, not"),
    Bad(columns(title=["t"], text=[b"t"]), BAD_FILE, 1, "'text' holds binary, not strings"),
    Bad(columns(title=[0.5], text=["t"]), BAD_FILE, 1, "'title' holds double, not strings"),
    Bad(columns(id=[0.5], title=["t"], text=["t"]), BAD_FILE, 1, "'id' holds double, not"),
    Bad(twice, BAD_FILE, 1, "it has 2 columns named 'text'"),
    # Pages.
    Bad(damaged(flipped(1), compression="none", use_dictionary=False, write_page_checksum=True),
        BAD_FILE, 1, "bad.parquet, row group 0, rows 0 to 1: "),
    Bad(damaged(flipped(255), compression="snappy", use_dictionary=False),
        BAD_FILE, 1, "bad.parquet, row group 0, rows 0 to 1: "),
    Bad(damaged(flipped(255), compression="zstd", use_dictionary=False),
        BAD_FILE, 1, "bad.parquet, row group 0, rows 0 to 1: "),
    Bad(damaged(overwritten(b"article", b"\xffrticle"), compression="none"),
        BAD_FILE, 1, "article bad.parquet#0 (row 0) failed to read: not valid UTF-8"),
    # Rows.
    Bad(columns(title=["t"] * 2, text=raw(b"\xc3(", LONG.encode())), BAD_FILE, 1,
        "bad.parquet#0 (row 0) failed to read: not valid UTF-8"),
    Bad(columns(title=raw(b"\xed\xa0\x80"), text=[LONG]), BAD_FILE, 1, "not valid UTF-8"),
    Bad(columns(id=raw(b"\xff\xfe"), title=["t"], text=[LONG]), BAD_FILE, 1, "not valid UTF-8"),
    Bad(columns(title=texts([None], STRINGS), text=texts([None], STRINGS)), BAD_FILE, 0, ""),
    Bad(columns(id=[None], title=[None], text=[None]), BAD_FILE, 0, ""),
    Bad(columns(title=[None], text=[LONG]), BAD_FILE, 0, ""),
    Bad(misnamed, "--input in good.parquet", 0, ""),
    Bad(ids("x" * 10_000), BAD_FILE, 0, ""),
    Bad(ids("../../x", "../x", ".."), BAD_FILE, 0, ""),
    Bad(ids("/etc/passwd", "//", "C:\\x"), BAD_FILE, 0, ""),
    Bad(ids("a\0b", "\0", "a\nb", "\r", "   ", "\u202e", "\ud7ff"), BAD_FILE, 0, ""),
    Bad(ids("same", "same", "same"), BAD_FILE, 0, ""),
    Bad(nothing, "--input good.parquet ./good.parquet *.parquet .", 0, ""),
    Bad(no_rows(0), BAD_FILE, 0, ""),
    Bad(no_rows(0), "--input bad.parquet", 2, "--input bad.parquet: the files have no rows"),
    Bad(no_rows(2), "--input bad.parquet", 2, "--input bad.parquet: the files have no rows"),
    # Articles that come with tokens.
    Bad(lines(b""), LINES, 2, "--input bad.jsonl: the files have no rows"),
    Bad(lines(b"{"), LINES, 2, "bad.jsonl, line 1: not a line of JSON"),
    Bad(lines(b"\xff\xfe\0{"), LINES, 2, "bad.jsonl, line 1: not a line of JSON"),
    Bad(lines(b"\n"), LINES, 2, "bad.jsonl, line 1: not a line of JSON"),
    Bad(lines(b"[" * 100_000), LINES, 2, "bad.jsonl, line 1: not a line of JSON"),
    Bad(lines(b"9" * 9999), LINES, 2, "bad.jsonl, line 1: not a line of JSON"),
    Bad(lines([1, 2]), LINES, 2, "bad.jsonl, line 1: not a JSON object"),
    Bad(lines({"messages\n\x1b": []}), LINES, 2, r"it has no 'title', only messages\n\x1b"),
    Bad(lines(record(text=7)), LINES, 2, "its 'text' is not a string"),
    Bad(lines(record(id=["i"])), LINES, 2, "its 'id' is not a string"),
    Bad(lines(record(text="\ud800")), LINES, 2, "its 'text' is not valid Unicode"),
    Bad(lines(record(title="\udfff x")), LINES, 2, "its 'title' is not valid Unicode"),
    Bad(lines(record(tokens="87")), LINES, 2, "its 'tokens' are not a list of integers"),
    Bad(lines(record(tokens=[1.5])), LINES, 2, "its 'tokens' are not a list of integers"),
    Bad(lines(record(tokens=[True])), LINES, 2, "its 'tokens' are not a list of integers"),
    Bad(lines(record(tokens=[-1])), LINES, 2, "its 'tokens' are out of range"),
    Bad(lines(record(tokens=[1 << 40])), LINES, 2, "its 'tokens' are out of range"),
    Bad(lines(record(tokens=[2_000_000])), LINES, 2, "bad.jsonl, line 1: its tokens "),
    Bad(lines(record(tokens=[88])), LINES, 2, "its tokens decode to 'y' where the text has 'x'"),
    Bad(lines(record(tokens=[256], text="")), LINES, 2, "its tokens have the control token 256"),
    Bad(lines(record(total_tokens=2)), LINES, 2, "it has 1 tokens, and says 2"),
    Bad(lines(*[record() + b"\n"] * 65, b"\n", *[record() + b"\n"] * 64), LINES + " good.parquet",
        1, "article bad.jsonl#65 (row 65) failed to read: not a line of JSON"),
    # Paths to read from.
    Bad(nothing, "--input missing.parquet", 2, "--input missing.parquet: no parquet file there"),
    Bad(nothing, "--input no*.parquet", 2, "--input no*.parquet: no parquet file there"),
    Bad(directory("in"), "--input in", 2, "--input in: no parquet file there"),
    Bad(both(directory("in"), file("in/a.txt", b"x")), "--input in", 2, "no parquet file there"),
    Bad(fifo("bad.parquet"), "--input bad.parquet", 2, "no parquet file there"),
    Bad(fifo("in/bad.parquet"), "--input in good.parquet", 1, "bad.parquet, the whole file: "),
    Bad(fifo("in/bad.jsonl"), "--input in", 2, "no parquet file there"),
    Bad(nothing, "--input /dev/null", 2, "--input /dev/null: no parquet file there"),
    Bad(nothing, "--input /dev/zero", 2, "--input /dev/zero: no parquet file there"),
    Bad(dangling("bad.parquet"), "--input bad.parquet", 2, "no parquet file there"),
    Bad(dangling("in/bad.parquet"), "--input in good.parquet", 1, "bad.parquet, the whole file: "),
    Bad(nothing, "--input nosuch://bucket/x.parquet", 2, "x.parquet: there is no file system"),
    # Font and tokenizer.
    Bad(directory("d"), "--input good.parquet --font d", 2, "--font d cannot be opened: "),
    Bad(nothing, "--font none.ttf", 2, "--font none.ttf cannot be opened: "),
    Bad(nothing, "--font good.parquet", 2, "--font good.parquet cannot be opened: "),
    Bad(file("bad.ttf", b""), "--font bad.ttf", 2, "--font bad.ttf cannot be opened: "),
    Bad(file("bad.ttf", default_font()[:5000]), "--font bad.ttf", 2, "--font bad.ttf "),
    Bad(font_without_characters, "--font bad.ttf", 2, "no Unicode character map"),
    Bad(fifo("bad.ttf"), "--font bad.ttf", 2, "--font bad.ttf cannot be opened: "),
    Bad(nothing, "--font /dev/zero", 2, "--font /dev/zero cannot be opened: "),
    Bad(directory("tok"), "--tokenizer tok", 2, "cannot be loaded (it has no tokenizer.json, "),
    Bad(nothing, "--tokenizer no/such/thing", 2, "--tokenizer no/such/thing cannot be loaded"),
    Bad(tokenizer(b""), "--tokenizer tok", 2, "--tokenizer tok cannot be loaded"),
    Bad(tokenizer(b"{"), "--tokenizer tok", 2, "--tokenizer tok cannot be loaded"),
    Bad(tokenizer(b"[]"), "--tokenizer tok", 2, "--tokenizer tok cannot be loaded"),
    Bad(tokenizer(b"\xff"), "--tokenizer tok", 2, "--tokenizer tok cannot be loaded"),
    Bad(tokenizer(model(type="BPE", vocab={}, merges=[])), "--tokenizer tok", 2,
        "--tokenizer tok cannot be loaded"),
    Bad(tokenizer(model(type="BPE", vocab={"a": 0}, merges=[["a", "b"]])), "--tokenizer tok", 2,
        "--tokenizer tok cannot be loaded"),
    Bad(tokenizer(model(type="WordLevel", vocab={}, unk_token="u")), "--tokenizer tok", 2,
        "--tokenizer tok cannot be loaded"),
    # Paths to write to.
    Bad(nothing, FULL + " --output_dir good.parquet", 2, "good.parquet is a file, not a directory"),
    Bad(nothing, FULL + " --output_dir good.parquet/out", 2, "good.parquet/out "),
    Bad(nothing, FULL + " --output_dir /proc/pagecast", 2, "/proc/pagecast "),
    Bad(fifo("pipe"), FULL + " --output_dir pipe", 2, "pipe is a file, not a directory"),
    Bad(dangling("link"), FULL + " --output_dir link", 2, "link "),
    Bad(both(directory("out"), file("out/thesis.tex", b"x")), FULL, 2, "holds something else"),
    Bad(nothing, FULL + " --output_dir \udcff", 2, "--output_dir is not valid UTF-8"),
    Bad(nothing, FULL + " --tokenizer \udcff", 2, "--tokenizer is not valid UTF-8"),
    Bad(nothing, FULL + " --output_dir nosuch://bucket/x", 2, "x: there is no file system"),
    Bad(finished(file("out/_pagecast/config.json", b"")), FULL, 2, "config.json is damaged"),
    Bad(finished(file("out/_pagecast/config.json", b"\xff{")), FULL, 2, "config.json is damaged"),
    Bad(finished(file("out/_pagecast/config.json", b"[" * 99_999)), FULL, 2, "is damaged"),
    Bad(config(lambda c: []), FULL + " --overwrite", 0, ""),
    Bad(finished(file("out/_pagecast/config.json", b"{")), FULL + " --overwrite", 0, ""),
    Bad(config(lambda c: []), FULL, 2, "config.json is damaged"),
    Bad(config(lambda c: None), FULL, 2, "config.json is damaged"),
    Bad(config(lambda c: {}), FULL, 2, "config.json is damaged"),
    Bad(config(lambda c: {**c, "options": "x"}), FULL, 2, "config.json is damaged"),
    Bad(config(lambda c: {**c, "options": [1]}), FULL, 2, "config.json is damaged"),
    Bad(config(lambda c: {**c, "vision_modes": {"tiny": 512}}), FULL, 2, "is damaged"),
    Bad(config(lambda c: {**c, "inputs": [None]}), FULL, 2, "config.json is damaged"),
    Bad(config(lambda c: {**c, "inputs": 7}), FULL, 2, "config.json is damaged"),
    Bad(config(lambda c: {**c, "versions": []}), FULL, 2, "config.json is damaged"),
    Bad(config(lambda c: {**c, "tokenizer": {}}), FULL, 2, "config.json is damaged"),
    Bad(finished(nothing), FULL + " --png_level 6", 2, "--png_level was 5, now 6"),
    Bad(finished(nothing), FULL + " --min_tokens 51", 2, "--min_tokens was 50, now 51"),
    Bad(finished(file("out/_pagecast/plan.jsonl", b"{]")), FULL, 0, ""),
    Bad(finished(file("out/_pagecast/split.json", b"\0")), FULL, 0, ""),
    # The command line.
    Bad(nothing, FULL + " --frobnicate 3", 2, "unknown option --frobnicate"),
    Bad(nothing, FULL + " --max_sample 3", 2, "did you mean --max_samples?"),
    Bad(nothing, FULL + " --seed", 2, "--seed needs a value"),
    Bad(nothing, "--input", 2, "--input names no file"),
    Bad(nothing, FULL + " --seed x", 2, "--seed: 'x' is not a whole number"),
    Bad(nothing, FULL + " --min_tokens 1.5", 2, "--min_tokens: '1.5' is not a whole number"),
    Bad(nothing, FULL + " --context_tokens 0", 2, '"0" for --context_tokens'),
    Bad(nothing, FULL + " --png_level 10", 2, '"10" for --png_level'),
    Bad(nothing, FULL + " --modes tiny=1", 2, "a page has 64 to 4096 pixels"),
    Bad(nothing, FULL + " --overwrite=x", 2, "for --overwrite: unable to convert"),
    Bad(nothing, FULL + " --runner Nonesuch", 2, "--runner Nonesuch"),
    Bad(nothing, FULL + " --wait_until_finish_duration many", 2, "invalid int value: 'many'"),
    Bad(nothing, FULL + " --experiments", 2, "expected one argument"),
    Bad(nothing, FULL + f" --seed {10**30} --max_samples {10**30}", 0, ""),
    Bad(nothing, FULL + f" --num_articles {10**30} --max_errors {10**30}", 0, ""),
    Bad(nothing, FULL + f" --min_tokens {10**30}", 0, "the dataset is empty"),
    Bad(nothing, FULL + f" --context_tokens {10**30}", 0, "the dataset is empty"),
]  # fmt: skip


@pytest.fixture
def within_time() -> Iterator[None]:
    """Let a test fail that hangs."""

    def give_up(*_: object) -> None:
        raise AssertionError(f"it hangs: nothing for {SECONDS} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("small_tokenizer", "within_time")
@pytest.mark.parametrize("case", BAD, ids=[f"{n}-{b.phrase[:30]}" for n, b in enumerate(BAD)])
def test_bad_input(
    case: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "deep/enough/home"
    home.mkdir(parents=True)
    monkeypatch.chdir(home)
    write_parquet(home / "good.parquet", articles(LONG, LONG))
    case.make(home)
    args = f"{SMALL} {case.args}"
    for option, value in (("--output_dir", "out"), ("--input", "good.parquet")):
        args += "" if option in case.args else f" {option} {value}"
    before = names(tmp_path), contents(tmp_path)
    capfd.readouterr()
    code = main(["run", *args.split()])
    out, err = capfd.readouterr()
    assert (code, case.phrase in err) == (case.code, True), err
    assert "Traceback" not in out + err
    assert len(err.splitlines()) <= {0: 2, 1: 4, 2: 1}[code], err
    if code == 2:
        assert out == ""
        assert err.startswith("pagecast: error: ")
        assert (names(tmp_path), contents(tmp_path)) == before
        return
    written = {os.path.relpath(name, home) for name in names(tmp_path) - before[0]}
    assert all(name == "out" or name.startswith("out/") for name in written)
    assert not any("passwd" in name or "same" in name or "xxx" in name for name in written)
    receipts = [
        Receipt.from_json(path.read_bytes())
        for path in sorted((home / "out/_pagecast/shards").glob("*.json"))
    ]
    (good,) = (r for r in receipts if r.shard.path.endswith("good.parquet"))
    assert good.kept == (0 if "--min_tokens 1000" in args else 2)
    content = (home / "out/_pagecast/errors.jsonl").read_bytes()
    errors = [json.loads(line) for line in content.splitlines()]
    assert bool(errors) == (code == 1)
    for error in errors:
        assert {"input": {"path", "where"}, "article": {"row", "wiki_id", "step"}}[
            error["kind"]
        ] | {"kind", "reason"} == set(error)
        assert error["reason"]
    whole = not any(error["kind"] == "input" for error in errors)
    assert (home / "out/split_manifest.json").exists() == whole
    verified = main(["verify", "--output_dir", "out", "--workers", "1"])
    out, err = capfd.readouterr()
    assert (verified, err) == (int(not whole), "")
    phrase = "no faults" if whole else "split_manifest.json: is missing: the job is not finished"
    assert phrase in out
