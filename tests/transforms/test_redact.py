"""What is secret is neither said nor written, and all else stays as it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pipeline.cli import configfile
from pipeline.progress.terminal import say
from tests.conftest import Command, RunCommand, articles, parse_run, write_parquet
from transforms import redact as redaction
from transforms.redact import hide, redact, secrets_of


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Know no option's value before or after a test."""
    redaction._of_options.clear()
    redaction._known.cache_clear()
    yield
    redaction._of_options.clear()
    redaction._known.cache_clear()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://key:hush@bucket/a b", "s3://***@bucket/a b"),
        ("https://u:p@w:0@h/x", "https://***@h/x"),
        ("s3://AK:a/b+c@bucket/x", "s3://***@bucket/x"),
        ("https://token@host:8080/x", "https://***@host:8080/x"),
        ("at https://h/x?a=1&X-Amz-Signature=ab%2F&b=2", "at https://h/x?a=1&X-Amz-Signature=***&b=2"),
        ("https://h/x?sv=2&sig=ab%3D 'no'", "https://h/x?sv=2&sig=*** 'no'"),
        ("X-Amz-Credential of h://h/?X-Amz-Credential=AK/2", "X-Amz-Credential of h://h/?X-Amz-Credential=***"),
        ("bad hf_abcdefghijklmnopqrstuvwx", "bad ***"),
    ],
)  # fmt: skip
def test_what_is_secret_in_an_address(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "error: --tokenizer deepseek-ai/DeepSeek-OCR: KeyError: token=3", "hf_ob.parquet",
        "cannot read s3://bucket/enwiki/a@b.parquet, row group 3", "http://localhost:8081",
        "http://localhost:8081/jobs/a@b", "mail a@b.c, see https://h/?page=2",
        "hf://datasets/HuggingFaceFW/finewiki@main/data/enwiki: no such directory",
    ],
)  # fmt: skip
def test_what_is_not_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_which_variables_are_secret(tmp_path: Path) -> None:
    environment = {
        "AWS_SECRET_ACCESS_KEY": "aws-secret", "HF_TOKEN": "hub-token", "MY_API_KEY": "my-api-key",
        "AZURE_STORAGE_CONNECTION_STRING": "azure-string", "db_password": "pass-word",
        "TOKENIZERS_PARALLELISM": "false-or-true", "SHORT_TOKEN": "short", "KEYBOARD": "qwertyuiop",
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path), "HOME": "/home/of/all",
    }  # fmt: skip
    assert secrets_of(environment) == {
        "aws-secret", "hub-token", "my-api-key", "azure-string", "pass-word",
    }  # fmt: skip


def test_values_of_options_are_known_by_what_they_may_be() -> None:
    hide([
        ("environment_config", '{"command": "/bin/boot", "env": {"PIN": "in-the-json"}}'),
        ("environment_options", "process_variables=A=b,DB_PASSWORD=in-a-list"),
        ("azure_connection_string", "AccountName=me;AccountKey=abcdefgh==;Suffix=core.net"),
        ("s3_secret_access_key", "whole:value="), ("unheard_of", "as-a-whole"), ("pin", "1234"),
    ])  # fmt: skip
    text = "/bin/boot in-the-json in-a-list me abcdefgh== core.net whole:value= as-a-whole 1234"
    assert redact(text) == "/bin/boot *** *** me *** core.net *** *** 1234"


def test_messages_have_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "very-secret-token")
    redaction._known.cache_clear()
    say("error: the store refuses very-secret-token")
    assert capsys.readouterr().err == "pagecast: error: the store refuses ***\n"


def test_of_beams_options_only_harmless_ones_are_written() -> None:
    argv = ["--input", "s3://b/c", "--output_dir", "o", "--runner=FlinkRunner"]
    argv += ["--parallelism=4", "--azure_connection_string", "AccountKey=hush", "--a_pass=hush"]
    argv += ['--environment_config={"env": {"PIN": "hush"}}', "--s3_endpoint_url=http://u:hush@h"]
    content = configfile.effective(parse_run(argv)).decode()
    assert "hush" not in content
    others = "azure_connection_string, a_pass, environment_config, s3_endpoint_url"
    assert f"\n# Left out, as they may hold secrets: {others}\n" in content
    found = yaml.safe_load(content)
    assert (found["parallelism"], found["input"]) == ("4", ["s3://b/c"])


@pytest.mark.parametrize("option", ["--input", "--output_dir", "--font"])
def test_a_path_has_no_password(option: str, command: Command, tmp_path: Path) -> None:
    given = {"--input": "a.parquet", "--output_dir": str(tmp_path / "out")}
    given[option] = "s3://me:hush@bucket/x"
    done = command("run " + " ".join(f"{name} {value}" for name, value in given.items()))
    assert done.code == 2
    assert f"{option} s3://***@bucket/x holds a user or a password" in done.err
    assert "hush" not in done.err
    assert not (tmp_path / "out").exists()


def test_a_run_writes_none_anywhere(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path / "a.parquet", articles("words " * 200))
    monkeypatch.setenv("MY_SECRET", "hush-hush")
    redaction._known.cache_clear()

    def fail(*_: object) -> None:
        raise ValueError("refused: hush-hush at http://me:hush-hush-hush@host/x")

    monkeypatch.setattr("pipeline.commands.run.execute", fail)
    done = run(str(tmp_path / "a.parquet"), options="--min_tokens 50 --s3_session_token=refused")
    assert done.code == 1
    assert "ValueError: ***: *** at http://***@host/x" in done.err
    trace = (done.path / "_pagecast/failure.log").read_text()
    assert "ValueError: ***: *** at http://***@host/x" in trace
    assert not [p for p in done.path.rglob("*") if p.is_file() and b"hush" in p.read_bytes()]


def test_an_article_that_fails_tells_none(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path / "a.parquet", articles("words " * 200))

    def fail(*_: object) -> None:
        raise ValueError("http://me:hush@host/x")

    monkeypatch.setattr("transforms.chunk.expand_chunks", fail)
    done = run(str(tmp_path / "a.parquet"), options="--min_tokens 50")
    assert done.code == 1
    assert "http://***@host/x" in done.err
    files = [p for p in done.path.rglob("*") if p.is_file()]
    assert "errors.jsonl" in {p.name for p in files}
    assert not [p for p in files if b"hush" in p.read_bytes()]
