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
        "$candidate" -P -m venv "$root/.venv"
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
  install_packages --editable "$root${extras:+[$extras]}" >&2
  cp "$root/setup.py" "$root/.venv/installed${extras:+-$extras}"
}

# What pip installs, uv does in a tenth of the time, but it does not know pip's configuration: whoever
# has an index of their own gets pip, and so does whoever cannot have uv. Modules are compiled when
# they are first used, and most never are.
install_packages() {
  local pip=("$python" -P -m pip --disable-pip-version-check)
  if ! "${pip[@]}" config list | grep index >/dev/null \
    && "${pip[@]}" install --quiet --no-compile uv \
    && "$python" -P -m uv pip install --quiet --python "$python" "$@"; then
    return
  fi
  "${pip[@]}" install --quiet --no-compile "$@"
}
