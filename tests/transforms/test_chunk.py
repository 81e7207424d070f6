import numpy as np
import pytest
from apache_beam import Create, ParDo
from apache_beam.testing.util import assert_that

from pagecast.dataset.sample import Article, Sample
from pagecast.dataset.shard import ArticleError, Shard, ShardArticles, ShardSamples
from pagecast.tokens.tokenizer import ArticleTokenizer
from tests.conftest import in_beam
from transforms import chunk
from transforms.chunk import ExpandChunks, expand_articles, expand_chunks


def article(tokens: int, row: int = 7) -> Article:
    return Article(row, f"w{row}", "T", "text", np.arange(tokens, dtype=np.int32))


def listed(tokens: np.ndarray) -> str:
    return ",".join(map(str, tokens))


@pytest.mark.parametrize(
    ("tokens", "context", "continuation", "expected"),
    [
        (4, 2, 3, []),
        (5, 2, 3, [("0,1", "2,3,4")]),
        (14, 2, 3, [("0,1", "2,3,4"), ("5,6", "7,8,9")]),
        (15, 2, 3, [("0,1", "2,3,4"), ("5,6", "7,8,9"), ("10,11", "12,13,14")]),
        (3, 2, 0, [("0,1", "")]),
        (0, 1, 1, []),
    ],
)
def test_chunks_follow_one_another_and_the_tail_is_dropped(
    tokens: int, context: int, continuation: int, expected: list[tuple[str, str]]
) -> None:
    samples = expand_chunks(article(tokens), context, continuation, listed)
    assert [(listed(s.context_tokens), listed(s.continuation_tokens)) for s in samples] == expected
    assert [s.context_text for s in samples] == [context for context, _ in expected]
    assert [s.id for s in samples] == [f"sample_000007_chunk_{n}" for n in range(len(expected))]


def test_samples_know_their_article() -> None:
    (sample,) = expand_chunks(article(5), 2, 3, listed)
    assert (sample.row, sample.wiki_id, sample.title) == (7, "w7", "T")
    assert sample.total_article_tokens == 5


def test_a_shard_has_no_more_samples_than_a_worker_can_hold(
    tokenizer: ArticleTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk, "MOST_SAMPLES", 5)
    batch = ShardArticles(
        Shard(0, "p", 0, 0, 3, 0), tuple(article(n, row) for row, n in enumerate((6, 8, 4))), {}
    )
    found = expand_articles(batch, 1, 1, tokenizer)
    assert [len(samples) for samples in found.articles] == [3, 2]
    (error,) = found.errors
    assert (error.row, error.step) == (1, "chunk")
    assert error.reason.startswith("ValueError: its 4 samples are too many for a worker")


def test_expand_chunks_stage(tmp_path, tokenizer_json: bytes, tokenizer: ArticleTokenizer) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(tokenizer_json)
    tokens = tokenizer.encode("The quick brown fox jumps over the lazy dog.")
    articles = (Article(0, "a", "", "", tokens[:3]), Article(1, "b", "", "", tokens[:9]))
    error = ArticleError(5, "x", "read", "bad")
    batch = ShardArticles(Shard(0, "p", 0, 0, 2, 0), articles, {"null_text": 4}, (error,))

    def check(found: list[ShardSamples]) -> None:
        (samples,) = found
        assert [[s.context_text for s in a] for a in samples.articles] == [
            ["The quick", " jumps over"]
        ]
        assert all(isinstance(s, Sample) for a in samples.articles for s in a)
        assert (samples.dropped, samples.errors) == ({"null_text": 4}, (error,))

    with in_beam() as pipeline:
        assert_that(pipeline | Create([batch]) | ParDo(ExpandChunks(2, 2, str(path))), check)
