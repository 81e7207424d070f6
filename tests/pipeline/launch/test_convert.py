"""Tokenizers without a tokenizer.json: made into one by transformers, or refused in one line."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest
import sentencepiece
import tiktoken
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from pagecast.dataset.sample import Article
from pagecast.tokens.tokenizer import ArticleTokenizer
from pipeline.launch import convert
from pipeline.launch.assets import Asset, resolve_tokenizer
from pipeline.launch.trial import try_out
from pipeline.options import RunOptions, UsageError
from tests.support.hub import FakeHub

TEXTS = ["the cat sat on the mat and the dog ran off", "Der Käse schläft. 日本語 1234"] * 20
TEXT = "the cat sat on the Käse 日本語 1234"
ALPHABET = pre_tokenizers.ByteLevel.alphabet()
PATTERN = (  # what transformers takes for that of a tiktoken file, which has none
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
RANKS = {bytes([n]): n for n in range(256)} | {b"th": 256, b"the": 257, b" the": 258, b"ca": 259}


def config(path: Path, name: str, **more: object) -> Path:
    path.mkdir(exist_ok=True)
    (path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name, **more}))
    return path


def gpt2(path: Path) -> list[int]:
    config(path, "GPT2Tokenizer")
    own = Tokenizer(models.BPE())
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=350, initial_alphabet=ALPHABET, show_progress=False)
    own.train_from_iterator(TEXTS, trainer)
    own.model.save(str(path))
    return list(own.encode(TEXT).ids)


def piece_model(path: Path, name: str, kind: str, **more: object) -> list[int]:
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_writer=made, model_type=kind, minloglevel=2,
        hard_vocab_limit=False, num_threads=1, **more,
    )  # fmt: skip
    (path / name).write_bytes(made.getvalue())
    return list(sentencepiece.SentencePieceProcessor(model_proto=made.getvalue()).encode(TEXT))


def unigram(path: Path) -> list[int]:
    return piece_model(config(path, "T5Tokenizer"), "spiece.model", "unigram", vocab_size=90)


def llama(path: Path) -> list[int]:
    more = {"byte_fallback": True, "normalization_rule_name": "identity", "vocab_size": 330}
    return piece_model(config(path, "LlamaTokenizer"), "tokenizer.model", "bpe", **more)


def unnamed(path: Path) -> list[int]:
    """A model of SentencePiece's, and nothing that says whose it is."""
    path.mkdir()
    return piece_model(path, "tokenizer.model", "unigram", vocab_size=90)


def wordpiece(path: Path) -> list[int]:
    config(path, "BertTokenizer", do_lower_case=True)
    letters = [chr(n) for n in range(ord("a"), ord("z") + 1)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "on"]
    pieces = [*words, *letters, *("##" + letter for letter in letters)]
    (path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
    spelled = ["the", "cat", "sat", "on", "the", "k", "##a", "##s", "##e", *["[UNK]"] * 4]
    return [pieces.index(piece) for piece in spelled]  # each of the three ideographs is a word


def ranked(path: Path, name: str = "tokenizer.model") -> list[int]:
    config(path, "PreTrainedTokenizerFast")
    lines = (f"{base64.b64encode(piece).decode()} {rank}\n" for piece, rank in RANKS.items())
    (path / name).write_text("".join(lines))
    own = tiktoken.Encoding("own", pat_str=PATTERN, mergeable_ranks=RANKS, special_tokens={})
    return own.encode(TEXT)


KINDS: Sequence[Callable[[Path], list[int]]] = [gpt2, unigram, llama, unnamed, wordpiece, ranked]


def resolved(path: Path | str, **more: str) -> Asset:
    return resolve_tokenizer(RunOptions(("a",), "o", tokenizer=str(path), **more))


def refused(path: Path | str) -> str:
    with pytest.raises(UsageError) as error:
        resolved(path)
    said = str(error.value)
    assert "\n" not in said
    assert said.startswith(f"--tokenizer {path} cannot be loaded (")
    assert "pagecast-" not in said  # the directory of the copies
    return said.partition("cannot be loaded (")[2].rpartition("); it must be builtin, or a ")[0]


@pytest.mark.parametrize("make", KINDS)
def test_older_files_give_the_ids_of_their_own_library(
    tmp_path: Path, make: Callable[[Path], list[int]], capfd: pytest.CaptureFixture[str]
) -> None:
    ids = make(path := tmp_path / "made")
    asset = resolved(path)
    assert (asset.name, asset.suffix, asset.is_converted) == ("made", ".json", True)
    tokenizer = ArticleTokenizer(asset.content)
    assert tokenizer.encode(TEXT).tolist() == ids
    lost = {wordpiece: "the cat sat on the kase � � � �"}
    assert tokenizer.decode(tokenizer.encode(TEXT)) == lost.get(make, TEXT)
    assert capfd.readouterr().err == ""


def test_the_same_files_give_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    script = """
import hashlib, sys
from pipeline.launch.convert import converted
for path in sys.argv[1:]:
    print(hashlib.sha256(converted(path, None)).hexdigest())
"""
    for make in KINDS:
        make(tmp_path / make.__name__)
    paths = sorted(map(str, tmp_path.iterdir()))
    found = subprocess.run(
        [sys.executable, "-c", script, *paths], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"}, cwd=tmp_path,
    )  # fmt: skip
    assert found.stdout.split() == [resolved(path).sha256 for path in paths]


@pytest.mark.parametrize(
    ("make", "text", "said"),
    [
        (wordpiece, "The cat", "does not keep 1 of 1 sampled articles as they are (first: a/1, "),
        (wordpiece, "the cat", "keeps the sampled articles, but not every text (\"The quick "),
        (ranked, "The cat", ""),
    ],
)  # fmt: skip
def test_what_one_loses_is_said_in_one_line(
    tmp_path: Path,
    make: Callable[[Path], list[int]],
    text: str,
    said: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    make(path := tmp_path / "made")
    try_out(resolved(path), [Article(1, "a/1", "", text)])
    told = capfd.readouterr().err
    assert told.startswith(f"pagecast: warning: tokenizer made {said}" if said else "")
    assert told.count("\n") == bool(said)


def test_code_is_never_run(tmp_path: Path) -> None:
    map_ = {"AutoTokenizer": ["own.OwnTokenizer", None]}
    config(tmp_path, "OwnTokenizer", auto_map=map_)
    ranked_file = tmp_path / "made"
    ranked(ranked_file)
    shutil.copy(ranked_file / "tokenizer.model", tmp_path)
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert refused(tmp_path) == "it needs code of its own, which is never run"
    assert not (tmp_path / "ran").exists()


def test_a_configuration_leads_to_no_other_file(tmp_path: Path) -> None:
    unigram(path := tmp_path / "made")
    plain = resolved(path).sha256
    ranked(other := tmp_path / "other")
    names = ("vocab_file", "tokenizer_file", "gguf_file")
    more = dict.fromkeys(names, str(other / "tokenizer.model"))
    config(path, "T5Tokenizer", **more, fast_tokenizer_files=["../other/tokenizer.model"])
    assert resolved(path).sha256 == plain


def cut(path: Path) -> None:
    unigram(path)
    content = (path / "spiece.model").read_bytes()
    (path / "spiece.model").write_bytes(content[: len(content) // 2 + 1])


def cut_ranks(path: Path) -> None:
    ranked(path)
    content = (path / "tokenizer.model").read_bytes()
    (path / "tokenizer.model").write_bytes(content[:-4])


def slow(path: Path) -> None:
    llama(path)
    config(path, "BertGenerationTokenizer")
    (path / "tokenizer.model").rename(path / "spiece.model")


def other_files(path: Path) -> None:
    """The class finds no vocabulary, and would make do with its few special tokens."""
    gpt2(path)
    config(path, "BertTokenizer")


def unnamed_bpe(path: Path) -> None:
    gpt2(path)
    (path / "tokenizer_config.json").unlink()


def large(path: Path) -> None:
    config(path, "BertTokenizer")
    with open(path / "vocab.txt", "wb") as file:
        file.truncate(200_000_001)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (cut, "its spiece.model is damaged, or of no known kind"),
        (cut_ranks, "Error parsing line b'Y2E= ' in it/tokenizer.model"),
        (slow, "transformers makes no tokenizer.json of a BertGenerationTokenizer"),
        (other_files, "made of its vocab.json, merges.txt, it has no token for any text"),
        (unnamed_bpe, "it has neither of tokenizer_config.json and config.json, to say what its "),
        (large, "vocab.txt: its 200,000,001 bytes are more than 200,000,000"),
        (lambda path: config(path, "GPT2Tokenizer"), "it has no tokenizer.json, nor any of vocab"),
    ],
)
def test_what_gives_no_tokenizer_is_refused(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    make(path := tmp_path / "made")
    assert refused(path).startswith(said)


@pytest.mark.parametrize(("make", "package"), [(unigram, "sentencepiece"), (ranked, "tiktoken")])
def test_what_has_to_be_installed_is_said(
    tmp_path: Path,
    make: Callable[[Path], list[int]],
    package: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make(path := tmp_path / "made")
    monkeypatch.setattr(
        convert, "find_spec", lambda name: None if name == package else find_spec(name)
    )
    assert refused(path).endswith(
        "model needs the extra tokenizers: pip install 'pagecast[tokenizers]'"
    )


def test_of_a_hub_they_are_fetched_once_their_sizes_are_known(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unigram(tmp_path / "made")
    files = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    hub.push("a/b", {**files, "code.py": b"raise SystemExit"}, "v1")
    asset = resolved("a/b", tokenizer_revision="v1")
    assert (asset.name, asset.sha256) == ("a/b", resolved(tmp_path / "made").sha256)
    assert {request.path for request in hub.content if request.method == "GET"} == files.keys()
    hub.content.clear()
    hub.push("a/b", {"spiece.model": files["spiece.model"] * 2})
    monkeypatch.setattr(convert, "MOST_BYTES", len(files["spiece.model"]))
    assert "spiece.model: its " in refused("a/b")
    assert not hub.content
