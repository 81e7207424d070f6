"""What Dataflow's workers are given: the sources of this package, and a list of requirements.

Their image has Beam, of the version and for the Python of the launcher; Beam chooses it by both.
There pip installs first the requirements, then the sources and what their setup.py lists. The
requirements name what the extra `pipeline` needs, which a worker needs too, in the launcher's
versions: what setup.py leaves open would else be the newest of the day, and a worker with other
versions refuses to work (`pagecast/dataset/versions.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import pipeline
from pipeline.cli.stylefile import read_sheet
from pipeline.launch.stores import EXTRAS
from pipeline.options import RunOptions, UsageError

REQUIREMENTS = "requirements.txt"


def setup_file() -> str:
    """Return the path of this package's setup.py; Beam takes only an absolute one.

    Raises:
      UsageError: the package is installed and not run from its sources.
    """
    path = Path(pipeline.__file__).resolve().parents[1] / "setup.py"
    if not path.is_file():
        raise UsageError(
            f"Dataflow's workers need Pagecast's sources, but there is no {path}: give "
            "--setup_file, or --sdk_container_image with an image that has pagecast[pipeline,gcp]"
        )
    return str(path)


def requirements(extras: Iterable[str]) -> list[str]:
    """Return what the pipeline needs with some extras, as lines of a requirements file.

    With the versions that this environment has; what it does not have may be any that will do.
    """
    found, chosen = dict[str, str](), ("", "pipeline", *extras)
    for needed in map(Requirement, metadata.requires("pagecast") or []):
        marker, needed.marker = needed.marker, None
        if marker and not any(marker.evaluate({"extra": extra}) for extra in chosen):
            continue
        if needed.name == "apache-beam" and not needed.extras:
            continue  # in the image
        with contextlib.suppress(metadata.PackageNotFoundError):
            needed.specifier = SpecifierSet(f"=={metadata.version(needed.name)}")
        found.setdefault(needed.name.lower(), str(needed))  # once, though several extras name it
    return list(found.values())


def write_requirements(options: RunOptions, more: str | None, directory: Path) -> str:
    """Write what pip is to install before the sources, and return the path.

    The sources are installed without extras, so with nothing for stores or other layouts.

    Args:
      options: where paths name the stores.
      more: a requirements file of the person's own.
    """
    sheet = read_sheet(options)
    places = *options.input, options.output_dir, *sheet.fonts, *options.beam_args
    line = " ".join(places)
    extras = {extra for scheme, (extra, _) in EXTRAS.items() if f"{scheme}://" in line}
    extras.add(EXTRAS["gs"][0])
    layouts, breaks = sheet.values_of("layout"), sheet.values_of("line_break")
    if "harfbuzz" in layouts or "unicode" in breaks or options.language:
        extras.add("harfbuzz")
    lines = requirements(sorted(extras))
    if more is not None:
        lines.insert(0, Path(more).read_text(encoding="utf-8").rstrip("\n"))
    path = directory / REQUIREMENTS
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)
