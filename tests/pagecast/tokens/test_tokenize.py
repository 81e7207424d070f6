import json
import sys
from pathlib import Path

import numpy as np
import pytest
from apache_beam import Create, ParDo
from apache_beam.testing.util import assert_that
from tokenizers import Tokenizer

from pagecast.dataset.sample import Article
from pagecast.dataset.shard import Shard, ShardArticles
from pagecast.tokens.tokenizer import PROBE, ArticleTokenizer, FastTokenizer
from tests.conftest import in_beam
from transforms.tokenize import Tokenize, tokenize

SHARD = Shard(0, "p", 0, 0, 2, 0)
FIRST_CONTROL_TOKEN = 128_000  # all added tokens but begin, end and pad (0, 1, 2) are above
HOSTILE = [
    "plain text",
    "12345 1 22 333",
    "日本語のテキスト、中文。",
    "😀👨\u200d👩\u200d👧 e\u0301 \u202eRTL العربية עברית",
    "\x00\x07\x1b[0m\u2028\ufeff",
    " \n\n\t  spaces  , and . punctuation ' s n't",
]


def test_known_answer(tokenizer: ArticleTokenizer) -> None:
    tokens = tokenizer.encode("# 120s\nThe 120s was a decade")
    assert tokens[:8].tolist() == [5, 223, 4870, 85, 201, 671, 223, 4870]
    assert tokens.dtype == np.int32


@pytest.mark.parametrize("text", HOSTILE)
def test_decode_undoes_encode(tokenizer: ArticleTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_no_control_token_comes_out_of_text(
    tokenizer: ArticleTokenizer, tokenizer_json: bytes
) -> None:
    added = json.loads(tokenizer_json)["added_tokens"]
    assert len(added) > 800
    text = " ".join(token["content"] for token in added) + "".join(t["content"] for t in added)
    tokens = tokenizer.encode(text)
    assert not set(tokens.tolist()) & {token["id"] for token in added}
    assert tokens.max() < FIRST_CONTROL_TOKEN
    assert tokenizer.decode(tokens) == text


def test_a_piece_cut_inside_a_character_shows_the_replacement_character(
    tokenizer: ArticleTokenizer,
) -> None:
    tokens = tokenizer.encode("𒀀")
    assert len(tokens) > 1
    assert tokenizer.decode(tokens[:1]) == "\ufffd"


def test_special_tokens_are_skipped_and_spaces_kept(tokenizer: ArticleTokenizer) -> None:
    tokens = np.concatenate([[0], tokenizer.encode("a ."), [1]])
    assert tokenizer.decode(tokens) == "a ."


@pytest.mark.parametrize("definition", [b"", b"{}", b"\xff", b'{"model": 3}'])
def test_a_bad_definition_is_refused(definition: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a usable tokenizer\.json"):
        ArticleTokenizer(definition)


@pytest.fixture
def small_json(small_tokenizer: Path) -> bytes:
    """A definition that both libraries load in no time."""
    return (small_tokenizer / "small/tokenizer.json").read_bytes()


def test_truncation_and_padding_of_the_definition_do_not_apply(small_json: bytes) -> None:
    definition = json.loads(small_json)
    definition["truncation"] = {
        "direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0,
    }  # fmt: skip
    definition["padding"] = {
        "strategy": {"Fixed": 99}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 2,
        "pad_type_id": 0, "pad_token": "x",
    }  # fmt: skip
    tokenizer = ArticleTokenizer(json.dumps(definition).encode())
    text = "one two three four five"
    tokens = ArticleTokenizer(small_json).encode(text)
    assert 3 < len(tokens) < 99
    assert np.array_equal(tokenizer.encode(text), tokens)
    assert tokenizer.decode(tokens) == text


@pytest.fixture
def both(tokenizer: ArticleTokenizer, tokenizer_json: bytes) -> list[ArticleTokenizer]:
    """The fast tokenizer and the reference one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "fastokens", None)
        reference = ArticleTokenizer(tokenizer_json)
    return [reference, tokenizer]


def test_fastokens_is_used_and_equals_tokenizers(both: list[ArticleTokenizer]) -> None:
    reference, fast = both
    assert fast._fast is not None
    assert reference._fast is None
    sampled = range(1, 0x32000, 37)
    every = "".join(f"a{c}1{c} {c}{c}.{c}\n" for c in map(chr, sampled) if not c.isspace())
    every = every.encode("utf-8", "ignore").decode()
    for text in [*HOSTILE, *PROBE, every, " " * 5000, "x" * 5000, "\u0301" * 5000, "\n" * 5000]:
        tokens = reference.encode(text)
        assert np.array_equal(fast.encode(text), tokens)
        for cut in (0, 1, 7, len(tokens) // 2):
            piece = tokens[cut : cut + 1000]
            assert fast.decode(piece) == reference.decode(piece)


def by_tokenizers(definition: bytes, text: str) -> list[int]:
    return Tokenizer.from_str(definition.decode()).encode(text).ids


def test_a_decoder_that_differs_is_not_used(
    small_json: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a character must show as one U+FFFD, as it does in tokenizers."""
    right = FastTokenizer.decode
    monkeypatch.setattr(
        FastTokenizer, "decode", lambda self, tokens: right(self, tokens).replace("\ufffd", "")
    )
    tokenizer = ArticleTokenizer(small_json)
    assert "fastokens differs from tokenizers" in caplog.text
    assert tokenizer.decode(tokenizer.encode("𒀀")[:1]) == "\ufffd"


def test_without_fastokens_tokenizers_is_used_and_the_log_says_so(
    small_json: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "fastokens", None)
    tokenizer = ArticleTokenizer(small_json)
    assert tokenizer.encode("# 120s").tolist() == by_tokenizers(small_json, "# 120s")
    assert "fastokens cannot be used" in caplog.text
    assert "tokenizing with tokenizers" in caplog.text


def test_a_fastokens_that_differs_is_not_used_and_the_log_says_so(
    small_json: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from fastokens import Tokenizer as Fastokens

    class Different:
        """A build whose Unicode tables know fewer numbers."""

        def __init__(self, definition: str) -> None:
            self._right = Fastokens.from_json_str(definition)

        @classmethod
        def from_json_str(cls, definition: str) -> "Different":
            return cls(definition)

        def __getattr__(self, name: str) -> object:
            return getattr(self._right, name)

        def encode_ordinary(self, text: str) -> object:
            return self._right.encode_ordinary(text.replace("Ⅷ", "V"))

    monkeypatch.setattr("fastokens.Tokenizer", Different)
    tokenizer = ArticleTokenizer(small_json)
    assert "fastokens differs from tokenizers on '0 12 345 6789" in caplog.text
    assert tokenizer.decode(tokenizer.encode("Ⅷ")) == "Ⅷ"


def test_a_text_that_fastokens_gives_up_on_is_tokenized_all_the_same(
    small_json: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer = ArticleTokenizer(small_json)

    class GivesUp(FastTokenizer):
        def encode(self, text: str) -> np.ndarray:
            raise RuntimeError("match limit exceeded")

    tokenizer._fast = GivesUp(small_json)
    assert tokenizer.encode("# 120s").tolist() == by_tokenizers(small_json, "# 120s")
    assert "match limit exceeded" in caplog.text


class FailsOnB(ArticleTokenizer):
    def __init__(self) -> None:
        pass

    def encode(self, text: str) -> np.ndarray:
        if text == "b":
            raise RuntimeError("b is not to be had")
        return np.arange(len(text), dtype=np.int32)


def test_an_article_that_fails_is_an_error_and_the_others_go_on() -> None:
    articles = tuple(Article(n, f"w{n}", "", text) for n, text in enumerate(["aaa", "b", "cc"]))
    batch = tokenize(ShardArticles(SHARD, articles, {"null_text": 1}), FailsOnB())
    assert [(a.row, a.tokens.tolist()) for a in batch.articles] == [(0, [0, 1, 2]), (2, [0, 1])]
    assert [(e.row, e.wiki_id, e.step, e.reason) for e in batch.errors] == [
        (1, "w1", "tokenize", "RuntimeError: b is not to be had")
    ]
    assert batch.dropped == {"null_text": 1}


def test_tokenize_stage(tmp_path, tokenizer_json: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(tokenizer_json)
    batch = ShardArticles(SHARD, (Article(0, "w", "", "# 120s"),), {})

    def check(batches: list[ShardArticles]) -> None:
        assert [a.tokens.tolist() for b in batches for a in b.articles] == [[5, 223, 4870, 85]]

    with in_beam() as pipeline:
        assert_that(pipeline | Create([batch]) | ParDo(Tokenize(str(path))), check)


def test_dropout_is_off(small_tokenizer: Path) -> None:
    definition = json.loads((small_tokenizer / "small/tokenizer.json").read_bytes())
    wanted = ArticleTokenizer(json.dumps(definition).encode())
    definition["model"]["dropout"] = 0.9
    found = ArticleTokenizer(json.dumps(definition).encode())
    text = "the same words and letters " * 50
    for _ in range(3):
        assert found.encode(text).tolist() == wanted.encode(text).tolist()
