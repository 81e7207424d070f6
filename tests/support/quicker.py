"""What a run works out again each time, worked out once for all tests of a process.

Each answer is a function of what it is kept by. Commands that tests start are as they are.
"""

from __future__ import annotations

import bz2
import pickle
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from apache_beam.internal import cloudpickle_pickler
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.worker import statecache
from apache_beam.transforms import core, userstate
from apache_beam.typehints import decorators
from botocore import loaders

from pagecast import storage
from pagecast.dataset.assets import read_fonts
from pagecast.style.drawing import SheetRenderer
from pagecast.style.sheet import StyleSheet
from pagecast.tokens import tokenizer
from pagecast.verify import shard
from pipeline.commands import preview
from pipeline.estimate import measure
from pipeline.launch import assets, footers, inputs, prepare
from transforms import chunk, tokenize
from transforms.render import pages

loaded = cache(tokenizer.ArticleTokenizer)
reference = cache(tokenizer.ReferenceTokenizer)
published = cache(assets.builtin_tokenizer)  # whatever a test puts in its place
Arguments = tuple[list[str], list[Any]]


def keep_arguments(ask: Callable[[Any], Arguments]) -> Callable[[Any], Arguments]:
    """Keep the names and defaults of a function's arguments, which Beam asks for 10,000 times."""
    bound: WeakKeyDictionary[Any, Arguments] = WeakKeyDictionary()
    plain: WeakKeyDictionary[Any, Arguments] = WeakKeyDictionary()

    def arguments(function: Any) -> Arguments:
        kept, key = plain, function
        if isinstance(function, types.MethodType):
            kept, key = bound, function.__func__
        if not isinstance(key, types.FunctionType):
            return ask(function)
        if key not in kept:
            kept[key] = ask(function)
        names, defaults = kept[key]
        return list(names), list(defaults)

    return arguments


def keep_specs(ask: Callable[[Any], Any]) -> Callable[[Any], tuple[set[Any], set[Any]]]:
    """Keep which state and timers a class of DoFns has: Beam looks at all methods of each one.

    A function that Beam makes a DoFn of may have some of its own.
    """
    kept: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def specs(function: Any) -> tuple[set[Any], set[Any]]:
        key = function if isinstance(function, core.CallableWrapperDoFn) else type(function)
        if key not in kept:
            kept[key] = ask(function)
        states, timers = kept[key]
        return set(states), set(timers)

    return specs


def keep_options(begin: Callable[..., None]) -> Callable[..., None]:
    """Keep what a class of options makes of flags: Beam builds a parser at each look at them."""
    kept: dict[Any, bytes] = {}

    def init(self: PipelineOptions, flags: Sequence[str] | None = None, **more: Any) -> None:
        if flags is None or isinstance(flags, str) or more:
            begin(self, flags, **more)
            return
        key = type(self), tuple(flags)
        if key not in kept:
            begin(self, flags)
            kept[key] = pickle.dumps({**vars(self), "_flags": None})
        vars(self).update(pickle.loads(kept[key]), _flags=flags)

    return init


def make_beam_quicker(patch: pytest.MonkeyPatch) -> None:
    """Let Beam look at functions and options once, and compress equal pickles once.

    Nor does it look at what only a large job needs: where a type hint was given, and what a value
    in its cache takes with all it refers to.
    """
    arguments = keep_arguments(core.get_function_args_defaults)
    patch.setattr(core, "get_function_args_defaults", arguments)
    answer = cache(core._check_fn_use_yield_and_return)  # of a method's source
    patch.setattr(
        core, "_check_fn_use_yield_and_return", lambda fn: answer(getattr(fn, "__func__", fn))
    )
    patch.setattr(userstate, "get_dofn_specs", keep_specs(userstate.get_dofn_specs))
    patch.setattr(PipelineOptions, "__init__", keep_options(PipelineOptions.__init__))
    kept = SimpleNamespace(
        compress=lru_cache(1000)(bz2.compress), decompress=lru_cache(1000)(bz2.decompress)
    )
    patch.setattr(cloudpickle_pickler, "bz2", kept)
    patch.setattr(decorators.IOTypeHints, "_make_origin", lambda *_, **__: [])
    patch.setattr(statecache, "get_deep_size", lambda *objects: sum(map(sys.getsizeof, objects)))


def make_tokenizers_quicker(patch: pytest.MonkeyPatch) -> None:
    """Make the built-in tokenizer once, and load each one once, wherever it lies."""

    def make(content: bytes, quick: bool = True) -> tokenizer.ArticleTokenizer:
        if content == published():  # made once, as it takes seconds; to hash 10 MB takes a while
            return loaded(published())
        return loaded(content) if quick else loaded(content, False)

    def load(path: str, quick: bool = True) -> tokenizer.ArticleTokenizer:
        return make(storage.read_bytes(path), quick)

    patch.setattr(assets, "builtin_tokenizer", published)
    for module in (tokenize, chunk, shard):
        patch.setattr(module, "load_tokenizer", load)
    for module in (inputs, measure):
        patch.setattr(module, "ArticleTokenizer", make)
    patch.setattr(preview, "ReferenceTokenizer", reference)


@contextmanager
def one_reader_of_footers(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let all runs have their footers read by one process, and the next one where it dies."""
    with footers.Reader() as reader:
        kept = SimpleNamespace(Reader=lambda: nullcontext(reader))
        patch.setattr(inputs, "footers", kept)
        yield


def make_stores_quicker(patch: pytest.MonkeyPatch) -> None:
    """Read what botocore knows of a service once: 400,000 objects, for each client of a store."""
    read = cache(loaders.JSONFileLoader().load_file)
    patch.setattr(loaders.JSONFileLoader, "load_file", lambda _, path: read(path))


def make_renderers_quicker(patch: pytest.MonkeyPatch) -> None:
    """Make one renderer for each sheet of styles and thread: its fonts are named by their hash."""
    kept: dict[tuple[int, StyleSheet], SheetRenderer] = {}

    def renderer(sheet: StyleSheet, fonts: Mapping[str, bytes] | None) -> SheetRenderer:
        key = threading.get_ident(), sheet
        if key not in kept:
            kept[key] = SheetRenderer(sheet, fonts)
        return kept[key]

    def load(output_dir: str, sheet: StyleSheet) -> SheetRenderer:
        return renderer(sheet, read_fonts(output_dir, sheet))

    for module in (measure, prepare):
        patch.setattr(module, "SheetRenderer", renderer)
    patch.setattr(pages, "load_renderer", load)
