"""What a process is to be like before anything large is imported: threads, memory, modules."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Beam's modules for clouds, each of which imports their libraries.
CLOUDS = (
    "aws.s3filesystem", "azure.blobstoragefilesystem", "gcp.bigquery", "gcp.gcsfilesystem",
    "gcp.gcsio", "hadoopfilesystem",
)  # fmt: skip
PANDAS = "pandas"

# Environment variables of a worker process: one thread, and an allocator that suits pages.
WORKER_ENVIRONMENT = {
    # One thread for Rust too: there are as many workers as cores are to be used.
    "TOKENIZERS_PARALLELISM": "false",
    "RAYON_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # glibc would map and unmap each page's buffers, which costs 8% of a page, and keep what the
    # loading of the tokenizer freed; so would Arrow's own allocator. Ignored elsewhere.
    "MALLOC_MMAP_THRESHOLD_": str(8 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(32 << 20),
    "MALLOC_ARENA_MAX": "2",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}


@contextmanager
def quick_imports(is_program: bool = True, without_clouds: bool = True) -> Iterator[None]:
    """Import Beam in here, in half the time.

    Beam imports pandas where it is installed, only to take its types, and nothing that is imported
    is garbage, which Python would look for all the while.

    Args:
      is_program: whether this process does nothing else; in another one Beam is imported whole.
      without_clouds: let Beam find no file system but the local one in this process, where its
        runner needs no other. Pagecast reaches stores through fsspec.
    """
    if not is_program or "apache_beam" in sys.modules:
        yield
        return
    if without_clouds:
        for name in CLOUDS:
            sys.modules.setdefault(f"apache_beam.io.{name}", None)  # type: ignore[arg-type]
    hidden = sys.modules.setdefault(PANDAS, None) is None  # type: ignore[arg-type]
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
        if hidden:
            del sys.modules[PANDAS]
