#!/usr/bin/env bash
# Everything that has to hold: style, types, tests. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")"
. ./ensure_venv.sh
ensure_venv test
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
# Two files at a time: many tests wait for something, and a file's tests share what they set up.
exec "$python" -m pytest --numprocesses 2 --dist loadfile "$@"
