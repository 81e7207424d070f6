import json

import numpy as np
import pytest
from apache_beam import Create, ParDo
from apache_beam.testing.util import assert_that

from tests.conftest import in_beam
from transforms.records import Article, Shard, ShardArticles
from transforms.tokenize import ArticleTokenizer, Tokenize, tokenize

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


def test_truncation_and_padding_of_the_definition_do_not_apply(tokenizer_json: bytes) -> None:
    definition = json.loads(tokenizer_json)
    definition["truncation"] = {
        "direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0,
    }  # fmt: skip
    tokenizer = ArticleTokenizer(json.dumps(definition).encode())
    text = "one two three four five"
    assert tokenizer.decode(tokenizer.encode(text)) == text


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
