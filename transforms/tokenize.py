"""Articles to token ids and back. Article text is data: it never becomes a control token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import apache_beam as beam
import numpy as np
from tokenizers import Tokenizer

from transforms import storage
from transforms.faults import attempt
from transforms.records import Article, ShardArticles, Tokens


class ArticleTokenizer:
    """Encodes whole articles and decodes pieces of them.

    Args:
      definition: the content of a `tokenizer.json` (Hugging Face tokenizers).

    Raises:
      ValueError: the definition is not one that `tokenizers` reads.
    """

    def __init__(self, definition: bytes) -> None:
        try:
            self._decoder = Tokenizer.from_str(definition.decode())
            # Without its added tokens the vocabulary has no way to match `<image>` and the like as
            # one piece. The library's own switch for that, `encode_special_tokens`, misses the
            # tokens that are added but not marked special.
            plain = json.loads(definition)
            plain["added_tokens"] = []
            plain["post_processor"] = None
            self._encoder = Tokenizer.from_str(json.dumps(plain))
        except Exception as error:
            raise ValueError(f"not a usable tokenizer.json: {error}") from error
        self._encoder.no_truncation()
        self._encoder.no_padding()

    def encode(self, text: str) -> Tokens:
        """Return the token ids of a text, int32, with no special token added or recognized."""
        return np.array(self._encoder.encode(text, add_special_tokens=False).ids, dtype=np.int32)

    def decode(self, tokens: Tokens) -> str:
        """Return the text of token ids, special tokens skipped, spaces as they are.

        A piece that begins or ends inside a character shows U+FFFD there.
        """
        return str(self._decoder.decode(tokens.tolist(), skip_special_tokens=True))


@lru_cache(maxsize=1)
def load_tokenizer(path: str) -> ArticleTokenizer:
    """Load the tokenizer from the job's assets, once a process."""
    return ArticleTokenizer(storage.read_bytes(path))


def tokenize(batch: ShardArticles, tokenizer: ArticleTokenizer) -> ShardArticles:
    """Return the batch with the tokens of every article."""

    def encode(article: Article) -> Article:
        return replace(article, tokens=tokenizer.encode(article.text))

    articles, errors = attempt("tokenize", batch.articles, encode, lambda article: article)
    return replace(batch, articles=tuple(articles), errors=batch.errors + errors)


class Tokenize(beam.DoFn):
    """Tokenize whole articles with the tokenizer of the job's assets."""

    def __init__(self, tokenizer_path: str) -> None:
        self._path = tokenizer_path

    def process(self, batch: ShardArticles) -> Iterator[ShardArticles]:
        """Yield the batch with tokens."""
        yield tokenize(batch, load_tokenizer(self._path))
