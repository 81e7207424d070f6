"""What a process is to be like before anything large is imported: threads, memory, modules."""

import sys

# Beam's own file systems, each of which imports the libraries of a cloud.
FILE_SYSTEMS = (
    "aws.s3filesystem", "azure.blobstoragefilesystem", "gcp.gcsfilesystem", "gcp.gcsio",
    "hadoopfilesystem",
)  # fmt: skip

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


def leave_out_file_systems() -> None:
    """Let Beam find none but the local one in this process, where its runner needs no other.

    Pagecast reaches stores through fsspec, and to import them takes up to a second.
    """
    for name in FILE_SYSTEMS:
        sys.modules.setdefault(f"apache_beam.io.{name}", None)  # type: ignore[arg-type]
