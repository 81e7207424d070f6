#!/usr/bin/env bash
# Run the job on this machine: on the built-in sample into output/demo, or as the arguments say.
#   ./run_local.sh
#   ./run_local.sh --input my/*.parquet --output_dir big --workers 8
set -euo pipefail
root=$(cd "$(dirname "$0")" && pwd)
. "$root/ensure_venv.sh"
ensure_venv

# No `cd`: relative paths among the arguments are the caller's.
given=" $(printf '%s ' "$@")"
if [[ $given != *" --input"[\ =]* && $given != *" --config"[\ =]* ]]; then
  [[ $given == *" --output_dir"[\ =]* ]] || set -- --output_dir "$root/output/demo" "$@"
  set -- --input "$root/pipeline/data/finewiki_sample.parquet" "$@"
fi
exec "$python" -P -m pipeline run "$@"
