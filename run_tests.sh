#!/usr/bin/env bash
# Everything that has to hold: style, types, tests. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")"
. ./ensure_venv.sh
ensure_venv test
"$python" -m ruff check .
"$python" -m ruff format --check .

# Beside the tests, which wait for much; what it says comes after them.
types=$(mktemp)
trap 'rm -f "$types"' EXIT
"$python" -m mypy >"$types" 2>&1 &
checking=$!

# Four files at a time, since many tests wait, and by file, because a file's tests share what they
# set up; the longest files come first (tests/support/order.py), not those of most tests.
status=0
"$python" -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder "$@" || status=$?
wait "$checking" || status=1
cat "$types"
exit "$status"
