"""What a dataset says of itself, and a fault that was found in it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from pagecast import storage
from pagecast.dataset.assets import PageSettings
from pagecast.dataset.layout import CONFIG, PLAN, asset_path
from pagecast.dataset.manifest import EMPTYING, sheet_of
from pagecast.dataset.shard import Shard, read_plan
from pagecast.modes import VisionMode
from pagecast.probe import Made, made_by
from pagecast.style.sheet import StyleSheet


class Fault(NamedTuple):
    """Something that is not as it should be.

    file: relative to the output directory. sample: the id, or "" where it is not about one.
    remove: files without which the next run makes again what is at fault, relative too.
    """

    file: str
    sample: str
    what: str
    remove: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.sample, self.what) if part)


class DatasetError(Exception):
    """There is no dataset to check, or not enough of it to know what it should be."""


class Dataset(NamedTuple):
    """A dataset's location and the configuration that it was made with.

    made: `probe.made_by` of that.
    """

    output_dir: str
    pages: PageSettings
    min_tokens: int
    context_tokens: int
    continuation_tokens: int
    tokenizer: str
    made: Made

    @property
    def sheet(self) -> StyleSheet:
        """The styles of its pages."""
        return self.pages.sheet

    @property
    def fonts(self) -> list[str]:
        """Where its fonts are."""
        return [asset_path(self.output_dir, font, ".ttf") for font in self.sheet.fonts]

    @property
    def modes(self) -> list[str]:
        """The names of the vision modes."""
        return [mode.name for mode in self.pages.modes]

    def path(self, name: str) -> str:
        """Return the path of a file from its name relative to the output directory."""
        return storage.join(self.output_dir, *name.split("/"))


def open_dataset(output_dir: str) -> tuple[Dataset, dict[str, Any], list[Shard]]:
    """Return a dataset, its configuration and its shards.

    Raises:
      DatasetError: the configuration or the plan is not there or damaged.
    """
    for name in (CONFIG, PLAN):
        if not storage.exists(path := storage.private(output_dir, name)):
            raise DatasetError(f"{output_dir} is not a dataset: {path} is not there")
    try:
        path = storage.private(output_dir, CONFIG)
        config = json.loads(storage.read_bytes(path))
        if EMPTYING in config:
            raise DatasetError(
                f"{output_dir} is being emptied by a run with --overwrite that was stopped; "
                "give the same `run` command again"
            )
        _require_numbers(config)
        options = config["options"]
        modes = tuple(VisionMode(n, table["px"]) for n, table in config["vision_modes"].items())
        dataset = Dataset(
            output_dir,
            PageSettings(modes, options["png_level"], options["images"], sheet_of(config)),
            options["min_tokens"],
            options["context_tokens"],
            options["continuation_tokens"],
            asset_path(output_dir, config["tokenizer"]["sha256"], ".json"),
            made_by(config),
        )
        path = storage.private(output_dir, PLAN)
        shards = [entry for entry in read_plan(path) if isinstance(entry, Shard)]
        if not all(type(n) is int for s in shards for n in (s.number, *s[2:6])):
            raise ValueError("a shard has a value that is not a number")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        again = " with --overwrite" if path.endswith(CONFIG) else ""
        raise DatasetError(
            f"{path} is damaged ({error}); the same `run` command as before{again} writes it again"
        ) from error
    return dataset, config, shards


def _require_numbers(config: dict[str, Any]) -> None:
    """Raise what `open_dataset` takes for damage where a number of the configuration is none."""
    options = config["options"]
    numbers = {name: options[name] for name in ("min_tokens", "context_tokens", "png_level")}
    numbers["continuation_tokens"] = options["continuation_tokens"]
    numbers |= {f"{name}.px": table["px"] for name, table in config["vision_modes"].items()}
    numbers |= {f"{file['path']}.rows": file["rows"] for file in config["inputs"]}
    if options["num_articles"] is not None:
        numbers["num_articles"] = options["num_articles"]
    for name, value in numbers.items():
        if type(value) is not int:
            raise ValueError(f"its {name} is {value!r}")
    if options["context_tokens"] < 1 or options["continuation_tokens"] < 0:
        raise ValueError("its samples would have no tokens")
    for table in config["vision_modes"].values():
        _ = table["vision_tokens"], table["ratio"]
