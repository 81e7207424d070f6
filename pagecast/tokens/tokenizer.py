"""Articles to token ids and back. Article text is data: it never becomes a control token."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from functools import cached_property, lru_cache
from itertools import chain

import numpy as np
from tokenizers import Tokenizer

from pagecast.dataset.assets import read_asset
from pagecast.dataset.sample import Tokens
from pagecast.tokens.control import read_vocabulary
from pagecast.tokens.panics import without_panics

MOST_TOKENS = 6_000_000  # of a text for fastokens, which takes some 70 bytes for each
MOST_WORD_BYTES = 8 << 20  # of what it cannot cut before it encodes, where it takes 50 for each
MOST_MEMORY = 600 << 20  # bytes that tokenizers may take for a text
_BYTE_MEMORY, _TOKEN_MEMORY = 90, 300  # of these for each byte, once normalized, and each token
_PIECE_CHARS = 50_000  # of a longer text, measured at a time; one takes 18 when it is normalized
_BETWEEN_WORDS = re.compile(r"(?<=\S)\s(?=\S)")
# What may say so, perhaps in escapes: to parse 10 MB takes a third of a second.
_DROPOUT = re.compile(rb'"dropout"\s*:(?!\s*null)|\\u00[67]')
_log = logging.getLogger(__name__)

# What the two libraries must agree on before the fast one is used: each text touches a rule, or a
# table that an implementation may have in another version.
PROBE = (
    "The quick brown fox's 3 lazy dogs, i.e. (they) don't jump -- 1,234.50 times.",
    "0 12 345 6789 0123456789 ١٢٣ Ⅷ ² ½ १२३",
    "日本語のテキスト、中文。한국어 ไทย हिन्दी தமிழ்",
    "العربية עברית \u202e\u200f\u2067 فارسی ﷽",
    "😀👨\u200d👩\u200d👧 🇫🇷 👍🏽 \U0001f9ff\U0001fae8\U00016a70",
    "e\u0301 A\u030a \u0301\u0302 Å ﬁ ß İ ǅ",
    "\x00\x07\x1b[0m\x7f\x85\u2028\u2029\ufeff\ufffd\ufffe\U0010ffff\ue000",
    "  \t two\n\n\r\n three   \u00a0\u3000 \n  end \n",
    "a_b-c/d\\e@f.g#h$i%j^k&l*m(n)o[p]q{r}s|t~u`v'w\"x<y>z ==== .... ---- \n....\n",
    "<image> <td></td> <|ref|> <|User|> <｜User｜> <｜tool▁sep｜> <｜end▁of▁sentence｜>",
    "<｜begin▁of▁sentence｜><｜▁pad▁｜><|EOT|><｜fim▁hole｜><think></think>",
    "𒀀𓀀𝔘𝟘 ᚠᚢ ⠓⠑ ♞ ∑∫√ ←→ €£¥ ™©®",
)


class ArticleTokenizer:
    """Encodes whole articles and decodes pieces of them.

    Its tokens are by definition those of tokenizers. Works with fastokens, some twenty times
    faster, where the two agree on a fixed probe and on one made from the vocabulary; else with
    tokenizers, and the log says so.

    Args:
      definition: the content of a `tokenizer.json` (Hugging Face tokenizers).
      quick: whether to use fastokens if it passes.

    Attributes:
      control: ids of the tokens that no text is encoded to, int32.
      lossless: whether tokens are known to decode to their text, whatever it is.

    Raises:
      ValueError: the definition is not one that `tokenizers` reads.
    """

    def __init__(self, definition: bytes, quick: bool = True) -> None:
        self._definition = definition = without_chance(definition)
        try:
            reference = ReferenceTokenizer(definition)
        except Exception as error:
            raise ValueError(f"not a usable tokenizer.json: {error}") from error
        self.control = np.array(sorted(reference.vocabulary.control), dtype=np.int32)
        self.lossless = reference.vocabulary.lossless
        self._unknown = reference.vocabulary.unknown
        self._fast = _checked(definition, reference) if quick else None
        if self._fast is None:
            self._reference = reference

    @cached_property
    def _reference(self) -> ReferenceTokenizer:
        # Made again when it is needed, which is next to never: it takes 200 MB.
        return ReferenceTokenizer(self._definition)

    def encode(self, text: str) -> Tokens:
        """Return the token ids of a text, int32, with no special token added or recognized.

        Raises:
          ValueError: a control token came out all the same, or it takes too much memory.
        """
        if self._fast is not None:
            self._check_count(self._fast, text)
            try:
                tokens = self._fast.encode(text)
                if not np.isin(tokens, self.control).any():
                    return tokens
            except Exception as error:  # such as a limit of its regular expressions
                _log.warning("fastokens gave up on a text (%s); using tokenizers for it", error)
        tokens = self._reference.encode(text)
        if (control := np.isin(tokens, self.control)).any():
            raise ValueError(f"its text comes out as the control token {tokens[control][0]}")
        return tokens

    def _check_count(self, fast: FastTokenizer, text: str) -> None:
        """Refuse a text of more tokens than fastokens can hold, counted in pieces."""
        if len(text) <= min(MOST_TOKENS, MOST_WORD_BYTES) // 4:  # bytes of a character, at most
            return
        count = 0
        for piece in _pieces(text):
            count += len(fast.encode(piece))
            if count > MOST_TOKENS:
                raise ValueError(f"it has more than {MOST_TOKENS:,} tokens")
        if _longest_word(text) > MOST_WORD_BYTES:
            raise ValueError(f"it has a word, or as much space, of over {MOST_WORD_BYTES:,} bytes")

    def decode(self, tokens: Tokens) -> str:
        """Return the text of token ids, special tokens skipped, spaces as they are.

        A piece that begins or ends inside a character shows U+FFFD there, and so does what the
        vocabulary lacks.
        """
        if self._fast is None or self.unknown_in(tokens):
            return self._reference.decode(tokens)
        return self._fast.decode(tokens)

    @property
    def is_quick(self) -> bool:
        """Whether fastokens is used."""
        return self._fast is not None

    def disagrees(self, text: str) -> bool:
        """Tell whether fastokens is used and gives a text other tokens than tokenizers does."""
        if self._fast is None:
            return False
        tokens = self._reference.encode(text)
        return not np.array_equal(self._fast.encode(text), tokens) or (
            not self.unknown_in(tokens)
            and self._fast.decode(tokens) != self._reference.decode(tokens)
        )

    def unknown_in(self, tokens: Tokens) -> int:
        """Return how many tokens stand for what the vocabulary lacks."""
        return 0 if self._unknown is None else int(np.count_nonzero(tokens == self._unknown))

    def changes(self, text: str, tokens: Tokens) -> bool:
        """Tell whether the tokens of a text decode to another one."""
        return not self.lossless and self.decode(tokens) != text


def without_chance(definition: bytes) -> bytes:
    """Return a `tokenizer.json` whose encoder leaves nothing to chance.

    Dropout, a means of training with more than one way to cut a word, would make each run another.
    """
    if not _DROPOUT.search(definition):
        return definition
    try:
        found = json.loads(definition)
        if not found["model"].get("dropout"):
            return definition
    except (ValueError, KeyError, TypeError, AttributeError):
        return definition  # `tokenizers` says what is wrong with it
    found["model"]["dropout"] = None
    return json.dumps(found, ensure_ascii=False).encode()


class ReferenceTokenizer:
    """Hugging Face's tokenizers, which say what is right."""

    @without_panics
    def __init__(self, definition: bytes) -> None:
        # The library's own switch for control tokens, `encode_special_tokens`, misses the tokens
        # that are added but not marked special, and those that only the model has.
        vocabulary = read_vocabulary(definition)
        plain, shown = vocabulary.plain, vocabulary.shown
        self._decoder = Tokenizer.from_str(
            definition.decode() if shown is None else json.dumps(shown)
        )
        if plain is None:  # the same model, not another: it takes 100 MB, and a while to build
            self._encoder = Tokenizer(self._decoder.model)
            self._encoder.normalizer = self._decoder.normalizer
            self._encoder.pre_tokenizer = self._decoder.pre_tokenizer
        else:
            self._encoder = Tokenizer.from_str(json.dumps(plain))
        self.vocabulary = vocabulary._replace(plain=None, shown=None)  # large, no longer needed

    @without_panics
    def encode(self, text: str) -> Tokens:
        """See `ArticleTokenizer.encode`."""
        if len(text) > _PIECE_CHARS:
            self._check_memory(text)
        ids = self._encode(text)
        byte_ids, unknown = self.vocabulary.byte_ids, self.vocabulary.unknown
        if not byte_ids or not (ids == unknown).any():
            return ids
        found = self._encoder.encode(text, add_special_tokens=False)  # tells the pieces too
        tokens: list[int] = []
        for number, piece in zip(found.ids, found.tokens, strict=True):
            tokens += [byte_ids[b] for b in piece.encode()] if number == unknown else [number]
        return np.array(tokens, dtype=np.int32)

    def _encode(self, text: str) -> Tokens:
        # Of all ways only this one keeps no offsets, which take as much again as the rest.
        (found,) = self._encoder.encode_batch_fast([text], add_special_tokens=False)
        return np.array(found.ids, dtype=np.int32)

    def _check_memory(self, text: str) -> None:
        """Refuse a text that takes too much memory: an account is kept of its bytes and tokens.

        It is never encoded in pieces, as no cut is sure to leave the tokens what they are.
        """
        normalizer = self._encoder.normalizer
        size = sum(
            len((normalizer.normalize_str(piece) if normalizer else piece).encode())
            for piece in _pieces(text)
        )
        if size * (_BYTE_MEMORY + _TOKEN_MEMORY) <= MOST_MEMORY:  # each byte a token, at most
            return
        memory = size * _BYTE_MEMORY
        for piece in _pieces(text) if memory <= MOST_MEMORY else ():
            memory += len(self._encode(piece)) * _TOKEN_MEMORY
            if memory > MOST_MEMORY:
                break
        if memory > MOST_MEMORY:
            raise ValueError(
                f"its {len(text):,} characters take tokenizers more than {MOST_MEMORY:,} bytes of "
                "memory; cut the article, or leave it out"
            )

    @without_panics
    def decode(self, tokens: Tokens) -> str:
        """See `ArticleTokenizer.decode`."""
        found = str(self._decoder.decode(tokens.tolist(), skip_special_tokens=True))
        return found.replace(self.vocabulary.mark, "\ufffd")

    def sample(self, count: int) -> list[str]:
        """Return the texts of tokens spread over the vocabulary, always the same."""
        size = self._decoder.get_vocab_size()
        return [self.decode(np.array([n])) for n in range(0, size, max(1, size // count))]


class FastTokenizer:
    """The library fastokens."""

    @without_panics
    def __init__(self, definition: bytes) -> None:
        from fastokens import Tokenizer as Fastokens

        self._tokenizer = Fastokens.from_json_str(definition.decode())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    @without_panics
    def encode(self, text: str) -> Tokens:
        """See `ArticleTokenizer.encode`."""
        return np.array(self._tokenizer.encode_ordinary(text).ids, dtype=np.int32)

    @without_panics
    def decode(self, tokens: Tokens) -> str:
        """See `ArticleTokenizer.decode`."""
        return str(self._tokenizer.decode(tokens.tolist(), skip_special_tokens=True))


def _checked(definition: bytes, reference: ReferenceTokenizer) -> FastTokenizer | None:
    """Return the fast tokenizer, or None where it is missing or differs from the reference."""
    try:
        fast = FastTokenizer(definition)
        different = [text for text in PROBE if not _agree(text, fast, reference)] or [
            text
            for text in _probe_of(reference)
            if not np.array_equal(fast.encode(text), reference.encode(text))
        ]
    except Exception as error:  # no wheel for this machine, or a model that it does not read
        _log.warning("fastokens cannot be used (%s); tokenizing with tokenizers, slower", error)
        return None
    if different:
        _log.warning(
            "fastokens differs from tokenizers on %r; tokenizing with tokenizers, slower",
            different[0][:40],
        )
        return None
    return fast


def _probe_of(reference: ReferenceTokenizer) -> list[str]:
    """Return texts from the vocabulary: some of its pieces, and all that looks like control."""
    named = [*reference.vocabulary.lookalikes, *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces = reference.sample(300)
    return [
        *(between.join(named) for between in ("", " ", "a", "\n")),
        *(between.join(pieces) for between in ("", " ")),
        "".join(pieces).upper(),
        *named,  # a text of its own is a word that may be looked for as a whole
    ]


def _agree(text: str, fast: FastTokenizer, reference: ReferenceTokenizer) -> bool:
    """Tell whether a text has the same tokens, and each of them and all but one the same text."""
    tokens = reference.encode(text)
    pieces = [*np.split(tokens, len(tokens)), tokens, tokens[1:], tokens[:-1]]
    unknown = reference.vocabulary.unknown  # the reference decodes where it is
    pieces = [piece for piece in pieces if unknown is None or unknown not in piece]
    return np.array_equal(fast.encode(text), tokens) and all(
        fast.decode(piece) == reference.decode(piece) for piece in pieces
    )


@lru_cache(maxsize=1)
def load_tokenizer(path: str, quick: bool = True) -> ArticleTokenizer:
    """Load the tokenizer from the job's assets, once a process."""
    return ArticleTokenizer(read_asset(path), quick)


def _longest_word(text: str) -> int:
    """Return the bytes of the longest part without a single space between two letters or signs."""
    longest = start = 0
    ends = (match.end() for match in _BETWEEN_WORDS.finditer(text))
    for end in chain(ends, [len(text)]):
        if 4 * (end - start) > longest:
            longest = max(longest, len(text[start:end].encode()))
        start = end
    return longest


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + _PIECE_CHARS] for start in range(0, len(text), _PIECE_CHARS))
