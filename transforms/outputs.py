"""The names of files below an output directory."""

SAMPLES = "samples.jsonl"  # every sample, in input order
FILTERED = "filtered.jsonl"  # every kept article with its tokens, in input order
MANIFEST = "split_manifest.json"
REPORT = "report.html"  # what there is to see of all that
# Private, below `_pagecast`:
CONFIG = "config.json"  # what decides the bytes of samples and pages
OPTIONS = "options.yaml"  # what the latest run was asked to do
PLAN = "plan.jsonl"  # the shards and the files that cannot be used, in input order
SPLIT = "split.json"  # what decided the split that the latest run began to write
ERRORS = "errors.jsonl"  # input and articles that failed
TRACE = "failure.log"  # why the latest run stopped
FILTERED_WHOLE = "filtered.json"  # size and hash of filtered.jsonl
ASSETS = "assets"  # tokenizer and font, under their SHA-256
