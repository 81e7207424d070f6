"""Environment variables of a worker process: one thread, and an allocator that suits pages."""

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
