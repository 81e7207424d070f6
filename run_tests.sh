#!/usr/bin/env bash
# Everything that has to hold: style, types, tests. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")"
. ./ensure_venv.sh
ensure_venv test
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
exec "$python" -m pytest "$@"
