"""Control tokens of tokenizers of all kinds: no text comes out as one."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pagecast.tokens.tokenizer import ArticleTokenizer

TEXTS = ["the cat sat on the mat and the dog ran off", "def cat(dog):\n    return the(mat)"] * 4
MARKUP = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def byte_level(**changes: Any) -> dict[str, Any]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, show_progress=False, special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.add_tokens(["    ", "<think>", "return"])
    definition = json.loads(tokenizer.to_str())
    definition["model"] |= changes
    return definition


def sentence_piece(alphabet: list[str]) -> dict[str, Any]:
    """A BPE like Llama's, where `<` may only exist as a byte."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=400, show_progress=False, special_tokens=MARKUP + BYTES,
        initial_alphabet=alphabet,
    )  # fmt: skip
    tokenizer.train_from_iterator(TEXTS, trainer)
    definition = json.loads(tokenizer.to_str())
    definition["added_tokens"] = definition["added_tokens"][:3]
    definition["pre_tokenizer"] = None
    definition["normalizer"] = {
        "type": "Replace", "pattern": {"String": " "}, "content": "▁",
    }  # fmt: skip
    definition["decoder"] = {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
        ],
    }
    return definition


def unigram(byte_fallback: bool) -> dict[str, Any]:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(), decoders.Fuse()]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=600 if byte_fallback else 60, show_progress=False, unk_token="<unk>",
        special_tokens=MARKUP + BYTES * byte_fallback,
    )  # fmt: skip
    tokenizer.train_from_iterator(TEXTS, trainer)
    definition = json.loads(tokenizer.to_str())
    definition["added_tokens"] = definition["added_tokens"][:3]
    definition["model"]["byte_fallback"] = byte_fallback
    return definition


def whole_words(model: Any, trainer: Any) -> dict[str, Any]:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.train_from_iterator(TEXTS, trainer)
    definition = json.loads(tokenizer.to_str())
    definition["added_tokens"] = []  # the model has them all the same
    return definition


SPECIAL = ["[UNK]", "[CLS]", "[SEP]"]
KINDS: dict[str, Callable[[], dict[str, Any]]] = {
    "byte_level": byte_level,
    "ignore_merges": lambda: byte_level(ignore_merges=True),
    "llama": lambda: sentence_piece(["<", ">", "/", "x", "0", "4", "1"]),
    "llama_without_markup": lambda: sentence_piece([]),
    "unigram": lambda: unigram(False),
    "unigram_bytes": lambda: unigram(True),
    "wordpiece": lambda: whole_words(
        models.WordPiece(unk_token="[UNK]"),
        trainers.WordPieceTrainer(vocab_size=90, special_tokens=SPECIAL, show_progress=False),
    ),
    "wordlevel": lambda: whole_words(
        models.WordLevel(unk_token="[UNK]"),
        trainers.WordLevelTrainer(special_tokens=SPECIAL, show_progress=False),
    ),
}


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest) -> tuple[dict[str, Any], ArticleTokenizer, Tokenizer]:
    """A definition, the tokenizer of it, and what the file's own encoder is."""
    definition = KINDS[request.param]()
    whole = json.dumps(definition)
    return definition, ArticleTokenizer(whole.encode()), Tokenizer.from_str(whole)


Made = tuple[dict[str, Any], ArticleTokenizer, Tokenizer]
ORDINARY = st.text(st.sampled_from("thecatsdogrunmx041 \n    ()γ😀_"), max_size=60)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(text=ORDINARY | st.sampled_from(TEXTS))
def test_ordinary_text_has_the_ids_of_the_files_own_encoder(made: Made, text: str) -> None:
    _, tokenizer, own = made
    assert tokenizer.encode(text).tolist() == own.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("form", ["{}", "the {} cat", "{0}{0}", " {} ", "cat{}\n"])
def test_no_spelling_becomes_a_control_token_or_a_byte(made: Made, form: str) -> None:
    definition, tokenizer, _ = made
    vocab = definition["model"]["vocab"]
    pieces = vocab if isinstance(vocab, dict) else {p[0]: n for n, p in enumerate(vocab)}
    added = {token["content"]: token["id"] for token in definition["added_tokens"]}
    ids = pieces | added
    for name in (*MARKUP, *SPECIAL, "<|end|>", "<think>", "<0x41>", "<0xE2>"):
        tokens = tokenizer.encode(form.format(name))
        assert not np.isin(tokens, tokenizer.control).any()
        if name in ids and name not in ("<unk>", "[UNK]"):
            assert ids[name] not in tokens


def test_bytes_stand_for_what_the_vocabulary_lacks() -> None:
    for kind in ("llama_without_markup", "unigram_bytes"):
        tokenizer = ArticleTokenizer(json.dumps(KINDS[kind]()).encode())
        for text in ("the <s> cat </s>", "the <0x41> γάτα 😀", "<unk>"):
            assert tokenizer.decode(tokenizer.encode(text)).lstrip() == text


def test_a_control_token_that_comes_out_all_the_same_is_an_error(made: Made) -> None:
    _, tokenizer, _ = made
    tokens = tokenizer.encode("the cat")
    control, tokenizer.control = tokenizer.control, tokens[:1]
    try:
        with pytest.raises(ValueError, match=f"comes out as the control token {tokens[0]}"):
            tokenizer.encode("the cat")
    finally:
        tokenizer.control = control


def test_ids_that_no_sample_can_hold_are_refused() -> None:
    definition = byte_level()
    definition["model"]["vocab"]["zz"] = 1 << 31
    with pytest.raises(ValueError, match="it has the token id 2147483648, more than 2147483647"):
        ArticleTokenizer(json.dumps(definition).encode())


def whole_words_or_bytes(**changes: Any) -> dict[str, Any]:
    """A BPE with a byte fallback that looks for a whole word in its vocabulary first."""
    definition = sentence_piece([])
    definition["model"] |= {"ignore_merges": True}
    spaces = {"String": " "}
    definition["normalizer"] = None
    definition["pre_tokenizer"] = {
        "type": "Split", "pattern": spaces, "behavior": "Isolated", "invert": False,
    }  # fmt: skip
    del definition["decoder"]["decoders"][0]
    return definition | changes


@pytest.mark.parametrize("changes", [{}, {"pre_tokenizer": None}])
@pytest.mark.parametrize(
    "text", ["<0x41>", "the <0x41> cat", "<0xE2><0x82>", "a<0x41>\n", " <0x41>"]
)
def test_a_whole_word_that_is_spelled_as_a_byte_is_text(changes: dict[str, Any], text: str) -> None:
    definition = whole_words_or_bytes(**changes)
    tokenizer = ArticleTokenizer(json.dumps(definition).encode())
    assert tokenizer.decode(tokenizer.encode(text)) == text
    own = Tokenizer.from_str(json.dumps(definition))
    for ordinary in (*TEXTS, "<0x4", "x<0x41", "γάτα < 0x41 >"):
        assert tokenizer.encode(ordinary).tolist() == own.encode(ordinary).ids


def test_a_byte_that_merges_spell_is_text() -> None:
    definition = whole_words_or_bytes(pre_tokenizer=None)
    model = definition["model"]
    model["ignore_merges"] = False
    spelled = "<0x41>"
    for letter in spelled:
        model["vocab"].setdefault(letter, len(model["vocab"]))
    for end in range(2, len(spelled) + 1):
        model["vocab"].setdefault(spelled[:end], len(model["vocab"]))
        model["merges"].insert(end - 2, [spelled[: end - 1], spelled[end - 1]])
    assert Tokenizer.from_str(json.dumps(definition)).decode(
        Tokenizer.from_str(json.dumps(definition)).encode(spelled).ids
    ) == "A"  # fmt: skip
    tokenizer = ArticleTokenizer(json.dumps(definition).encode())
    assert tokenizer.decode(tokenizer.encode(f"the {spelled} cat")) == f"the {spelled} cat"
