"""How long it takes to open a split: python -m benchmarks.opening [--samples N] [--looks N].

Full-size samples, of two times 1000 tokens, with what a run notes of their lines beside them. Only
the lines that are looked at are written; the others are a hole in a sparse file, of which opening
asks the size and no more. Seconds and memory are those of a process of its own, the largest of some
rounds, where the notes are in the system's cache; memory counts all that the process had at once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pagecast import VISION_MODES
from pagecast.dataset.layout import MANIFEST, NONE, merged_path, part_name
from pagecast.dataset.sample import Sample
from pagecast.dataset.split import TRAIN, part_count
from pagecast.reader.lines import note_lengths
from pagecast.render import PageMetadata

TOKENS, VOCABULARY = 1000, 20_000
MODELS = 64  # different lines, again and again
DIGITS = 9  # of a row, so that all ids are as long
OPEN = """
import json, sys, time
started = time.perf_counter()
from pagecast import PageReader
imported = time.perf_counter()
train = PageReader(sys.argv[1])["train"]
opened = time.perf_counter()
looks = json.load(open(sys.argv[2]))
began = time.perf_counter()
ids = [train[at]["id"] for at in looks]
ended = time.perf_counter()
assert ids == [f"sample_{at:09d}_chunk_0" for at in looks]
most = None
if sys.platform == "linux":
    (most,) = (row for row in open("/proc/self/status") if row.startswith("VmHWM"))
print(json.dumps({
    "imports": imported - started, "opening": opened - imported, "look": (ended - began) / len(ids),
    "megabytes": int(most.split()[1]) / 1000 if most else 0, "samples": len(train),
}))
"""


def model(rng: random.Random) -> bytes:
    """Return a line like those of a run, whose row is 0."""
    page = PageMetadata(10, 50, 50, False, 0, 0)._asdict()
    tokens = np.array(rng.choices(range(VOCABULARY), k=2 * TOKENS), np.int32)
    text = "".join(rng.choices("etaoin shrdlu", k=rng.randrange(3000, 6000)))
    sample = Sample(
        0, "enwiki/12345678", "A title", 0, 9000, tokens[:TOKENS], tokens[TOKENS:], text,
        {}, {mode.name: page for mode in VISION_MODES},
    )  # fmt: skip
    return sample.json_line().replace(b"sample_000000_", b"sample_" + b"0" * DIGITS + b"_")


def write(directory: Path, samples: int, looks: Sequence[int]) -> int:
    """Write a split with its notes and its manifest, and return the size of its lines."""
    rng = random.Random(0)
    models = [model(rng) for _ in range(MODELS)]
    lengths = np.resize(np.array([len(line) for line in models], np.int64), samples)
    ends = np.cumsum(lengths)
    parts = part_count(samples, int(lengths.mean()))
    for number, part in enumerate(np.array_split(lengths, parts)):
        note_lengths(str(directory), part_name(TRAIN, number, parts), part.tolist())
    with open(merged_path(str(directory), TRAIN), "wb") as file:
        file.truncate(int(ends[-1]))
        for at in looks:
            file.seek(int(ends[at] - lengths[at]))
            row = b"sample_%0*d_" % (DIGITS, at)
            file.write(models[at % MODELS].replace(b"sample_" + b"0" * DIGITS + b"_", row, 1))
    manifest = {
        "outputs": {"images": NONE, "merged": True},
        "vision_modes": {mode.name: {"px": mode.px} for mode in VISION_MODES},
        "split": {"train": {"samples": samples}, "val": {"samples": 0}},
        "font": {"sha256": ""}, "options": {"layout": "basic"}, "versions": {},
    }  # fmt: skip
    (directory / MANIFEST).write_text(json.dumps(manifest))
    return int(ends[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--looks", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rng = random.Random(1)
    looks = [rng.randrange(options.samples) for _ in range(options.looks)]
    with tempfile.TemporaryDirectory() as directory:
        size = write(Path(directory), options.samples, looks)
        path = Path(directory, "looks.json")
        path.write_text(json.dumps(looks))
        words = [sys.executable, "-c", OPEN, directory, str(path)]
        root = Path(__file__).parents[1]
        rounds = [
            json.loads(subprocess.check_output(words, cwd=root)) for _ in range(options.rounds)
        ]
        written = os.stat(merged_path(directory, TRAIN)).st_blocks * 512
    most = {name: max(found[name] for found in rounds) for name in rounds[0]}
    print(f"samples {most['samples']:,}, {size / 1e9:.1f} GB; {written / 1e6:.0f} MB are written")
    print(
        f"opening {most['opening']:.2f} s, {most['imports'] + most['opening']:.2f} s with imports"
    )
    print(f"memory {most['megabytes']:.0f} MB")
    print(f"random access {most['look'] * 1e6:.0f} microseconds a sample")


if __name__ == "__main__":
    main()
