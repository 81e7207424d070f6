"""Which tokens of a vocabulary are control tokens, and an encoder that has no way to them."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NamedTuple

from tokenizers.pre_tokenizers import ByteLevel

MARKUP = re.compile(r"<.+>|\[.+\]|\{.+\}", re.DOTALL)
MOST_ID = (1 << 31) - 1  # of an int32
BYTE = re.compile(r"<0x[0-9A-F]{2}>")
BYTE_APART = {  # a pre-tokenizer that cuts what is spelled as a byte, and nothing else
    "type": "Split", "pattern": {"Regex": r"\A<(?=0x[0-9A-F]{2}>\z)"}, "behavior": "Isolated",
    "invert": False,
}  # fmt: skip


class Vocabulary(NamedTuple):
    """What a `tokenizer.json` says of its control tokens.

    An added token is a control token if it is marked special, or if it looks like markup: `<td>`,
    `<|User|>`, `[INST]`. Other added tokens, such as runs of spaces or words, are ordinary text,
    and used. A piece of the model itself is a control token if it looks like markup and the model
    did not learn it from text: no merge of a BPE makes it, a Unigram gives it the score 0, a
    WordPiece or WordLevel has it at all.

    Attributes:
      plain: the definition for encoding ordinary text. Spellings of control tokens are exchanged
        for some that stand in no text, while each id stays what it is. None where the model needs
        no such exchange, and text comes out as no added token: it is to be used alone.
      control: ids that no text has; the unknown token is not among them, nor are single bytes.
      lookalikes: the spelling of all control tokens and of all added ones.
      byte_ids: ids of the 256 bytes where `plain` leaves them to its caller, else empty. Then
        what comes out as unknown is to be spelled in bytes.
      unknown: the id of what the vocabulary lacks, if it has one.
      mark: what `shown` decodes that id to; it stands in no text.
      shown: the definition for decoding, in which the unknown token does not vanish; None where
        there is none, or where it is a piece like any other.
      lossless: whether tokens are known to decode to their text, whatever it is.
    """

    plain: dict[str, Any] | None
    control: frozenset[int]
    lookalikes: tuple[str, ...]
    byte_ids: tuple[int, ...]
    unknown: int | None
    mark: str
    shown: dict[str, Any] | None
    lossless: bool


def read_vocabulary(definition: bytes) -> Vocabulary:
    """Read the content of a `tokenizer.json`.

    Raises:
      ValueError: ids are larger than those of samples can be, or there are none.
    """
    whole = json.loads(definition)
    model, added = whole["model"], whole.get("added_tokens") or []
    if not (pieces := _pieces(model)):
        raise ValueError("its vocabulary is empty")  # every article would have no tokens
    largest = max((*pieces.values(), *(token["id"] for token in added)), default=0)
    if largest > MOST_ID:
        raise ValueError(f"it has the token id {largest}, more than {MOST_ID}")
    unknown = _unknown(model)
    special = {t["content"]: t["id"] for t in added if _is_control(t)}
    found = special | {piece: pieces[piece] for piece in _unlearned(model, pieces)}
    as_bytes = _bytes_of(model, pieces)
    control = {number for piece, number in found.items() if piece != unknown}
    control -= {pieces[piece] for piece in found if BYTE.fullmatch(piece) and piece in pieces}

    salt = hashlib.sha256(definition).hexdigest()
    names = {piece: f"\U0010fffe{salt}{number}\U0010fffe" for piece, number in found.items()}
    plain = whole | {"post_processor": None, "truncation": None, "padding": None}
    plain["model"] = _renamed(model, names, bool(as_bytes))
    if _kind(model) == "BPE" and model.get("byte_fallback"):
        plain["model"] = _without_byte_merges(plain["model"])
        if model.get("ignore_merges"):  # then a whole pre-token `<0x41>` would be the byte
            first = [plain["pre_tokenizer"]] if plain.get("pre_tokenizer") else []
            steps = [*first, BYTE_APART]
            plain["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
    ordinary = any(token["content"] not in special for token in added)
    # What the model lacks is numbered in order, so that the ordinary ones need those before them.
    needed = [t for t in added if t["content"] not in special or t["content"] not in pieces]
    plain["added_tokens"] = [_hidden(token, names) for token in needed] if ordinary else []
    spelled = dict.fromkeys((*found, *(token["content"] for token in added)))
    shown, mark = None, f"\U0010fffe{salt}\U0010fffe"
    if unknown in pieces and (unknown in found or _kind(model) != "BPE"):
        shown = _showing(whole, str(unknown), mark)
    alone = plain["model"] is model and not plain["added_tokens"] and shown is None
    return Vocabulary(
        plain=None if alone else plain,
        control=frozenset(control),
        lookalikes=tuple(spelled),
        byte_ids=as_bytes,
        unknown=None if shown is None else pieces[str(unknown)],
        mark=mark,
        shown=shown,
        lossless=_is_lossless(whole, [token for token in added if token["content"] not in special]),
    )


def _is_control(token: dict[str, Any]) -> bool:
    return bool(token.get("special") or MARKUP.fullmatch(token["content"]))


def _hidden(token: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    if token["content"] not in names:
        return token
    # Without these it would also take the spaces around it, or be looked for in other spellings.
    plain = dict.fromkeys(("lstrip", "rstrip", "single_word", "normalized"), False)
    return token | plain | {"content": names[token["content"]]}


def _pieces(model: dict[str, Any]) -> dict[str, int]:
    vocabulary = model["vocab"]
    if isinstance(vocabulary, dict):
        return vocabulary
    return {piece: number for number, (piece, _) in enumerate(vocabulary)}


def _kind(model: dict[str, Any]) -> str:
    """Return the kind of a model; old files do not say it."""
    if "type" in model:
        return str(model["type"])
    if "merges" in model:
        return "BPE"
    return "Unigram" if isinstance(model["vocab"], list) else "WordPiece"


def _unknown(model: dict[str, Any]) -> str | None:
    if _kind(model) == "Unigram":
        number = model.get("unk_id")
        return None if number is None else str(model["vocab"][number][0])
    return model.get("unk_token")


def _unlearned(model: dict[str, Any], pieces: dict[str, int]) -> list[str]:
    markup = [piece for piece in pieces if MARKUP.fullmatch(piece)]
    if _kind(model) == "BPE":
        made = _made(model) if markup else frozenset()
        return [piece for piece in markup if piece not in made]
    if _kind(model) == "Unigram":
        score = dict(model["vocab"])
        bytes_ = bool(model.get("byte_fallback"))
        return [p for p in markup if score[p] == 0 or (bytes_ and BYTE.fullmatch(p))]
    return markup


def _made(model: dict[str, Any]) -> frozenset[str]:
    prefix = model.get("continuing_subword_prefix") or ""
    pairs = (p.split(" ", 1) if isinstance(p, str) else p for p in model["merges"])
    return frozenset(first + second.removeprefix(prefix) for first, second in pairs)


def _without_byte_merges(model: dict[str, Any]) -> dict[str, Any]:
    """Return a BPE whose merges make no byte's name, of a text that spells it."""
    pairs = [p.split(" ", 1) if isinstance(p, str) else p for p in model["merges"]]
    prefix = model.get("continuing_subword_prefix") or ""
    kept = [p for p in pairs if not BYTE.fullmatch(p[0] + p[1].removeprefix(prefix))]
    return model | {"merges": kept}


def _bytes_of(model: dict[str, Any], pieces: dict[str, int]) -> tuple[int, ...]:
    """Return the ids of all bytes of a Unigram, which would take `<0x41>` in a text for one."""
    names = [f"<0x{byte:02X}>" for byte in range(256)]
    if _kind(model) != "Unigram" or not model.get("byte_fallback"):
        return ()
    return tuple(pieces[name] for name in names) if all(n in pieces for n in names) else ()


def _renamed(model: dict[str, Any], names: dict[str, str], bytes_apart: bool) -> dict[str, Any]:
    kind = _kind(model)
    if kind == "Unigram":
        vocab = [[names.get(piece, piece), score] for piece, score in model["vocab"]]
        return model | {"vocab": vocab} | ({"byte_fallback": False} if bytes_apart else {})
    if kind == "BPE":
        if not model.get("ignore_merges"):
            return model  # what no merge makes comes out of no text
        # Bytes go by their names.
        names = {piece: name for piece, name in names.items() if not BYTE.fullmatch(piece)}
        learned = _made(model)
        names = {piece: name for piece, name in names.items() if piece not in learned}
    changed: dict[str, Any] = {}
    changed["vocab"] = {names.get(piece, piece): n for piece, n in model["vocab"].items()}
    if model.get("unk_token") in names:
        changed["unk_token"] = names[model["unk_token"]]
    return model | changed


def _showing(whole: dict[str, Any], unknown: str, mark: str) -> dict[str, Any]:
    """Return the definition for decoding in which the unknown token is ordinary text, `mark`."""
    model = dict(whole["model"])
    if isinstance(model["vocab"], dict):
        model["vocab"] = {mark if p == unknown else p: n for p, n in model["vocab"].items()}
    else:
        model["vocab"] = [[mark if p == unknown else p, score] for p, score in model["vocab"]]
    if "unk_token" in model:
        model["unk_token"] = mark
    if "merges" in model:
        model["merges"] = []  # only for encoding, and one may be of the old name
    added = [
        _hidden(token, {unknown: mark})
        | {"special": token["special"] and token["content"] != unknown}
        for token in whole.get("added_tokens") or []
    ]
    return whole | {"model": model, "added_tokens": added, "post_processor": None}


def _is_lossless(whole: dict[str, Any], ordinary: list[dict[str, Any]]) -> bool:
    """Tell whether a definition spells all bytes of a text and nothing else, as GPT-2's does.

    `ordinary` are the added tokens that text may come out as. What is not known to keep a text
    counts as lossy, and is looked at article by article.
    """
    model, decoder = whole["model"], whole.get("decoder") or {}
    steps = _flat(whole.get("pre_tokenizer"), "pretokenizers")
    return (
        _kind(model) == "BPE"
        and not any(model.get(f"{end}fix") for end in ("continuing_subword_pre", "end_of_word_suf"))
        and not model.get("byte_fallback")
        and all(letter in model["vocab"] for letter in ByteLevel.alphabet())
        and not _flat(whole.get("normalizer"), "normalizers")
        and sum(step["type"] == "ByteLevel" for step in steps) == 1
        and all(map(_keeps, steps))
        and decoder.get("type") == "ByteLevel"
        and all(t["content"].isascii() and not t["lstrip"] and not t["rstrip"] for t in ordinary)
    )


def _flat(step: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    """Return the steps of a normalizer or pre-tokenizer, those of sequences too."""
    if not step:
        return []
    if step.get("type") != "Sequence":
        return [step]
    return [found for inner in step[name] for found in _flat(inner, name)]


def _keeps(step: dict[str, Any]) -> bool:
    """Tell whether a pre-tokenizer leaves out nothing and adds nothing."""
    if step["type"] == "ByteLevel":
        return not step["add_prefix_space"]
    return step["type"] == "Digits" or (
        step["type"] in ("Split", "Punctuation") and step.get("behavior", "Removed") != "Removed"
    )
