"""Whatever of a dataset is empty, cut short or garbage: the same command mends it, or says how."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.__main__ import main
from tests.conftest import articles, tree, write_parquet
from tests.support.bad import LONG, small_tokenizer  # noqa: F401

OPTIONS = (
    "--min_tokens 50 --context_tokens 25 --continuation_tokens 25 --modes tiny --workers 1 "
    "--arrow --filtered --no_report"
)
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut": lambda content: content[: len(content) // 2],
    "garbage": lambda content: b"\x00\xff[" * (len(content) // 3 + 1),
}
CONFIG = "_pagecast/config.json"


def command(at: Path) -> int:
    argv = ["run", "--input", str(at / "a.parquet"), "--output_dir", str(at / "out")]
    return main(argv + OPTIONS.split())


@pytest.mark.usefixtures("small_tokenizer")
@pytest.mark.parametrize("damage", DAMAGES)
def test_the_same_command_recovers_or_says_what_to_do(
    tmp_path: Path, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write_parquet(tmp_path / "a.parquet", articles(LONG, LONG + " two"), group_rows=1)
    out = tmp_path / "out"
    assert command(tmp_path) == 0
    whole = tree(out)
    files = [p for p in sorted(out.rglob("*")) if p.is_file() and p.suffix != ".png"]
    assert len(files) >= 20
    for directory in sorted({path.parent for path in files}):  # all files of it at once
        for path in files:
            if path.parent == directory and path != out / CONFIG and path.exists():
                path.write_bytes(DAMAGES[damage](path.read_bytes()))
        capfd.readouterr()
        assert command(tmp_path) == 0, (directory, capfd.readouterr().err)
        assert tree(out) == whole, directory
    (out / CONFIG).write_bytes(DAMAGES[damage]((out / CONFIG).read_bytes()))
    capfd.readouterr()
    assert command(tmp_path) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "config.json is damaged" in line
    assert "use another --output_dir, or --overwrite to remove what is there" in line
    assert tree(out) == whole
