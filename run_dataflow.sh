#!/usr/bin/env bash
# Run the job on Google Dataflow: on the built-in sample, or as the arguments say.
#   ./run_dataflow.sh --project P --region R --bucket B --dry_run
#   ./run_dataflow.sh --project P --region R --bucket B --input 'gs://B/enwiki/*.parquet'
# Project, region and bucket may come from the environment (--help). With --dry_run the job is built
# and described; nothing is sent, and neither credentials nor a network are needed.
set -euo pipefail
root=$(cd "$(dirname "$0")" && pwd)
. "$root/ensure_venv.sh"
ensure_venv dataflow

# No `cd`: relative paths among the arguments are the caller's.
exec "$python" -P -m pipeline.runners.dataflow "$@"
