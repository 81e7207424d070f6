#!/usr/bin/env bash
# Runs every benchmark and writes RESULTS.md again; some 40 minutes on two quiet cores. Its arguments
# name those to run (default: all): benchmarks/all.sh startup render
set -euo pipefail
cd "$(dirname "$0")/.."
. ./ensure_venv.sh
ensure_venv test
all=(render "render --samples 6 --layout raqm" styles startup reader opening pipeline split
  "split --max_samples 2000000" languages plan "kills --runs 30 --seed 5" "flink --rounds 2")
(($#)) && all=("$@")
results=benchmarks/RESULTS.md
fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT

version() { "$python" -c "from importlib.metadata import version; print(version('$1'))"; }
{
  echo "# Results"
  echo
  echo "Made by \`benchmarks/all.sh\` on $(date --utc +%F), at commit $(git rev-parse --short HEAD):"
  echo
  echo "- machine: $(nproc) cores of $(lscpu | sed -n 's/^Model name: *//p'), $(free --giga | awk '/^Mem/ {print $2}') GB of memory"
  echo "- load before the first: $(cut -d' ' -f1 /proc/loadavg). Times on a shared machine wander by a fifth or so; ratios"
  echo "  within one run hold."
  echo "- Python $("$python" -c 'import platform; print(platform.python_version())')$(
    for package in apache-beam pyarrow Pillow zlib-ng tokenizers fastokens numpy; do
      printf ', %s %s' "$package" "$(version "$package")"
    done
  )"
} >"$fresh"
for each in "${all[@]}"; do
  read -ra words <<<"$each"
  {
    printf '\n## `python -m benchmarks.%s`\n\n' "$each"
    "$python" -c "import ast; print(ast.get_docstring(ast.parse(open('benchmarks/${words[0]}.py').read())).partition('\n\n')[2])"
    printf '\n```\n'
    "$python" -m "benchmarks.${words[0]}" "${words[@]:1}"
    printf '```\n'
  } | tee -a "$fresh"
done
cp "$fresh" "$results"
