"""What tokens do not keep of a text: seen in it, counted by article, the same for `verify`."""

import json
from pathlib import Path

import numpy as np
import pytest

from pagecast.dataset.receipts import Accounts, Receipt
from pagecast.dataset.sample import Article
from pagecast.dataset.shard import Shard, ShardArticles
from pagecast.tokens.tokenizer import ArticleTokenizer
from pipeline.__main__ import main
from tests.conftest import write_parquet
from tests.pagecast.tokens.test_control import KINDS
from transforms.chunk import expand_articles

LOST = {  # what becomes of "the γάτα sat"
    "unigram": "the � sat",
    "wordpiece": "the � sat",
    "wordlevel": "the � sat",
}
LOSSLESS = {"byte_level", "ignore_merges"}
SHARD = Shard(0, "p", 0, 0, 3, 0)


def made(kind: str, **changes: object) -> ArticleTokenizer:
    return ArticleTokenizer(json.dumps(KINDS[kind]() | changes).encode())


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_vocabulary_lacks_is_seen_and_counted(kind: str) -> None:
    tokenizer = made(kind)
    text = "the γάτα sat"
    tokens = tokenizer.encode(text)
    found = LOST.get(kind, text)
    assert tokenizer.decode(tokens) == found
    assert tokenizer.changes(text, tokens) == (found != text)
    assert tokenizer.unknown_in(tokens) == (kind in LOST)
    assert not tokenizer.changes("the cat", tokenizer.encode("the cat"))
    assert tokenizer.lossless == (kind in LOSSLESS)


def test_an_unknown_token_that_is_marked_special_is_seen_too() -> None:
    definition = KINDS["wordlevel"]()
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    definition["added_tokens"] = [{"id": 0, "content": "[UNK]", "special": True, **flags}]
    # A piece of its own may be spelled as the unknown one is shown.
    definition["model"]["vocab"]["\ufffd"] = len(definition["model"]["vocab"])
    tokenizer = ArticleTokenizer(json.dumps(definition).encode())
    tokens = tokenizer.encode("the γάτα \ufffd sat")
    assert tokenizer.decode(tokens) == "the � � sat"
    assert tokenizer.unknown_in(tokens) == 1


LOWER = {"type": "Lowercase"}
CLOSED = {"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": False}
ADDED = dict.fromkeys(("single_word", "lstrip", "normalized", "special"), False)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"normalizer": LOWER}, "The cat"),
        ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}]}}, "ﬁt"),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            CLOSED, KINDS["byte_level"]()["pre_tokenizer"]]}}, "the cat"),
        ({"pre_tokenizer": KINDS["byte_level"]()["pre_tokenizer"]
          | {"add_prefix_space": True}}, "the cat"),
        ({"added_tokens": [{"id": 500, "content": "cat", "rstrip": True, **ADDED}]}, "cat sat"),
    ],
)  # fmt: skip
def test_other_losses_of_byte_level_tokenizers_are_noticed(
    changes: dict[str, object], text: str
) -> None:
    tokenizer = made("byte_level", **changes)
    assert not tokenizer.lossless
    assert tokenizer.changes(text, tokenizer.encode(text))


def test_the_built_in_tokenizer_is_known_to_lose_nothing(tokenizer: ArticleTokenizer) -> None:
    assert tokenizer.lossless


def expanded(tokenizer: ArticleTokenizer) -> dict[str, int] | None:
    texts = ["the cat sat", "the γάτα sat on the γάτα", "the  cat"]
    articles = tuple(Article(n, f"w{n}", "", t, tokenizer.encode(t)) for n, t in enumerate(texts))
    return expand_articles(ShardArticles(SHARD, articles, {}), 2, 1, tokenizer).losses


def test_losses_are_counted_by_article() -> None:
    assert expanded(made("wordlevel")) == {"unknown_tokens": 2, "changed_articles": 2}
    assert expanded(made("llama")) == {"unknown_tokens": 0, "changed_articles": 0}
    assert expanded(made("byte_level")) is None


def receipt(losses: dict[str, int] | None) -> Receipt:
    return Receipt(SHARD, (), 3, {}, (), 0, 0, "", (), losses)


def test_receipts_have_losses_or_are_as_ever() -> None:
    for losses in ({"unknown_tokens": 2, "changed_articles": 1}, None):
        content = receipt(losses).to_json({})
        assert (b"losses" in content) == (losses is not None)
        assert Receipt.from_json(content) == receipt(losses)


@pytest.mark.parametrize(
    ("shards", "found"),
    [
        ([None, None], {}),
        ([{"unknown_tokens": 2, "changed_articles": 1}] * 2,
         {"losses": {"changed_articles": 2, "unknown_tokens": 4}}),
        ([{"unknown_tokens": 0, "changed_articles": 0}],
         {"losses": {"changed_articles": 0, "unknown_tokens": 0}}),
        ([None, {"unknown_tokens": 2, "changed_articles": 1}], {"losses": None}),
    ],
)  # fmt: skip
def test_the_manifest_says_what_is_known_of_all_shards(
    shards: list[dict[str, int] | None], found: dict[str, object]
) -> None:
    accounts = Accounts()
    for losses in shards:
        accounts.add(Accounts.of(receipt(losses)))
    assert accounts.losses == found


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """The arguments of a small run with a tokenizer of whole words."""
    (tmp_path / "tok").mkdir()
    definition = json.dumps(KINDS["wordlevel"]())
    (tmp_path / "tok/tokenizer.json").write_text(definition)
    texts = ["the cat sat on the mat " * 10, "the γάτα sat on the mat " * 10]
    write_parquet(tmp_path / "in.parquet", {"id": ["w/1", "w/2"], "title": ["", ""], "text": texts})
    return [
        "--input", str(tmp_path / "in.parquet"), "--output_dir", str(tmp_path / "out"),
        "--tokenizer", str(tmp_path / "tok"), "--min_tokens", "50", "--context_tokens", "30",
        "--continuation_tokens", "20", "--modes", "tiny", "--workers", "1", "--no_report",
    ]  # fmt: skip


def test_a_run_shows_and_counts_losses_and_verify_agrees(
    asked: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *asked]) == 0
    told = capfd.readouterr()
    assert (
        told.err.count("warning: tokenizer tok does not keep 2 of 2 sampled articles as they") == 1
    )
    assert "(first: w/1, ' ' became '');" in told.err
    assert "unknown tokens    10\n" in told.out
    manifest = json.loads((tmp_path / "out/split_manifest.json").read_text())
    assert manifest["counts"]["losses"] == {"changed_articles": 2, "unknown_tokens": 10}
    lines = (tmp_path / "out/samples.jsonl").read_text().splitlines()
    assert "the � sat on the mat the � sat" in json.loads(lines[1])["context_text"]
    assert main(["verify", "--output_dir", str(tmp_path / "out"), "--workers", "1"]) == 0
    assert np.all([json.loads(line)["total_article_tokens"] == 60 for line in lines])
