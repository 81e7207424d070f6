# Sourced by the scripts beside it. Sets `python` to the interpreter of .venv, made and installed if
# need be; `ensure_venv test` installs the extra `test` too. Needs Python 3.11 or later with venv.

ensure_venv() {
  local root extras candidate stamp
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  extras=${1:-}
  python=$root/.venv/bin/python
  if ! [ -x "$python" ]; then
    for candidate in python3 python3.13 python3.12 python3.11; do
      if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        "$candidate" -m venv "$root/.venv"
        break
      fi
    done
    [ -x "$python" ] || { echo "pagecast: needs Python 3.11 or later with venv" >&2; return 2; }
  fi
  # Installed once for each state of setup.py; the packages themselves are used from this tree. The
  # extra `test` has all that the others have.
  for stamp in "$root/.venv/installed${extras:+-$extras}" "$root/.venv/installed-test"; do
    if cmp -s "$root/setup.py" "$stamp"; then
      return
    fi
  done
  echo "pagecast: installing into .venv (a minute, once)" >&2
  "$python" -m pip install --quiet --disable-pip-version-check --editable "$root${extras:+[$extras]}" >&2
  cp "$root/setup.py" "$root/.venv/installed${extras:+-$extras}"
}
