#!/usr/bin/env bash
# Run the job on Apache Flink: on the built-in sample into output/demo-flink, or as the arguments say.
#   ./run_flink.sh
#   ./run_flink.sh --flink_master jobmanager:8081 --input s3://... --output_dir s3://...
# Needs Java 11 or 17 and Maven. Without --flink_master a cluster is started here, for this job.
set -euo pipefail
root=$(cd "$(dirname "$0")" && pwd)
. "$root/ensure_venv.sh"
ensure_venv

# No `cd`: relative paths among the arguments are the caller's.
given=" $(printf '%s ' "$@")"
if [[ $given != *" --input"[\ =]* && $given != *" --config"[\ =]* && $given != *" --help "* ]]; then
  [[ $given == *" --output_dir"[\ =]* ]] || set -- --output_dir "$root/output/demo-flink" "$@"
  set -- --input "$root/pipeline/data/finewiki_sample.parquet" "$@"
fi
exec "$python" -P -m pipeline.runners.flink "$@"
