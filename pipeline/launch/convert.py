"""Tokenizers without a tokenizer.json: older files, of which transformers makes one.

For the launcher alone, and only where it is needed: transformers takes seconds to import. It sees
copies of the files that it may read, in a directory of their own: what else lies beside them, such
as code, pickles and links to somewhere else, is out of its reach, and so is the network.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, cast

from pagecast import storage
from pagecast.tokens.panics import without_panics
from pagecast.tokens.tokenizer import PROBE, ArticleTokenizer

CONFIGS = ("tokenizer_config.json", "config.json")  # say whose the others are
VOCABULARIES = (
    "vocab.json", "merges.txt", "vocab.txt", "tokenizer.model", "spiece.model",
    "sentencepiece.bpe.model", "sentencepiece.model", "spm.model", "tiktoken.model", "tekken.json",
)  # fmt: skip
FILES = (*CONFIGS, "special_tokens_map.json", "added_tokens.json", *VOCABULARIES)
MOST_BYTES = 200_000_000  # of a file; five times the largest tokenizer that is published
TIKTOKEN = re.compile(rb"[A-Za-z0-9+/]+=* \d+\n")  # how such a file begins


def converted(source: str, revision: str | None) -> bytes:
    """Return a `tokenizer.json` made of the older files in a directory or in a repository of a hub.

    The same files and the same transformers give the same bytes.

    Raises:
      Exception: of many kinds; there are no such files, or they cannot be used.
    """
    files = _files_in(source) if os.path.isdir(source) else _fetched(source, revision)
    vocabularies = [name for name in VOCABULARIES if name in files]
    if not vocabularies:
        raise FileNotFoundError("it has no tokenizer.json, nor any of " + ", ".join(VOCABULARIES))
    contents = {}
    for name, path in files.items():
        check_size(os.path.getsize(path), f"{name}: ")
        contents[name] = storage.read_bytes(path)
    for name in vocabularies:
        if name.endswith(".model"):
            _check_model(name, contents[name])
    definition = _made(contents)
    tokenizer = ArticleTokenizer(definition, quick=False)
    texts = [tokenizer.encode(text) for text in PROBE]
    if all(tokenizer.unknown_in(tokens) == len(tokens) for tokens in texts):
        raise ValueError(f"made of its {', '.join(vocabularies)}, it has no token for any text")
    return definition


def check_size(size: int, what: str = "") -> None:
    """Refuse a file that is too large.

    Raises:
      ValueError: it is.
    """
    if size > MOST_BYTES:
        raise ValueError(f"{what}its {size:,} bytes are more than {MOST_BYTES:,}")


def fetch(source: str, name: str, revision: str | None) -> tuple[str, str] | None:
    """Fetch a file of a tokenizer from the hub; return where it is and the commit that it is of.

    None where the repository has no such file.

    Raises:
      OSError: the hub failed, or there is no such repository.
      ValueError: the file is too large.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    from pagecast.storage.stores import hub_requests

    with hub_requests.naming(name):
        at = hub_requests.endpoint()
        try:
            found = hf_hub_download(source, name, revision=revision, endpoint=at, dry_run=True)
        except RemoteEntryNotFoundError:
            return None
        commit, size = found.commit_hash, found.file_size or 0
    check_size(size, f"{name}: ")
    with hub_requests.naming(name):
        counter = cast(Any, hub_requests.Counter(name, size))
        path = hf_hub_download(source, name, revision=commit, endpoint=at, tqdm_class=counter)
    return path, commit


def _files_in(directory: str) -> dict[str, str]:
    """Return where in a directory the files are, by their names."""
    paths = {name: os.path.join(directory, name) for name in FILES}
    return {name: path for name, path in paths.items() if os.path.isfile(path)}


def _fetched(source: str, revision: str | None) -> dict[str, str]:
    """Fetch the files from the hub, all of one commit; return where they are, by their names."""
    paths = {}
    for name in FILES:
        if found := fetch(source, name, revision):
            paths[name], revision = found
    return paths


def _check_model(name: str, content: bytes) -> None:
    """Refuse a vocabulary that is damaged, or that cannot be read as things are.

    transformers would take each for the other kind, and say what is wrong with that.
    """
    package = "tiktoken" if TIKTOKEN.match(content) else "sentencepiece"
    if find_spec(package) is None:
        raise ValueError(
            f"its {name} needs the extra tokenizers: pip install 'pagecast[tokenizers]'"
        )
    if package == "sentencepiece":
        from sentencepiece import SentencePieceProcessor

        try:
            SentencePieceProcessor().LoadFromSerializedProto(content)
        except RuntimeError as error:
            raise ValueError(f"its {name} is damaged, or of no known kind") from error


def _made(files: Mapping[str, bytes]) -> bytes:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it misses PyTorch, loudly
    os.environ["TIKTOKEN_CACHE_DIR"] = ""  # it would keep them where others may write
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory(prefix="pagecast-") as directory:
        for name, content in files.items():
            with open(os.path.join(directory, name), "wb") as file:
                file.write(_without_paths(content) if name == CONFIGS[0] else content)
        try:
            load = without_panics(AutoTokenizer.from_pretrained)
            found = load(directory, trust_remote_code=False, local_files_only=True)
        except Exception as error:
            why = str(error).replace(directory, "it")
            if "trust_remote_code" in why:
                why = "it needs code of its own, which is never run"
            elif not any(name in files for name in CONFIGS):
                why = f"it has neither of {' and '.join(CONFIGS)}, to say what its files are"
            raise ValueError(why) from error
    if not found.is_fast:
        raise ValueError(f"transformers makes no tokenizer.json of a {type(found).__name__}")
    return str(found.backend_tokenizer.to_str()).encode()


def _without_paths(content: bytes) -> bytes:
    """Return a tokenizer_config.json that leads to no other files."""
    config = json.loads(content)
    return json.dumps({k: v for k, v in config.items() if not re.search("_files?$", k)}).encode()
