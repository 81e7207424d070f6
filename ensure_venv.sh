# Sourced by the scripts beside it. Sets `python` to the interpreter of .venv, made and installed if
# need be, with the extra `pipeline` or the one named: `ensure_venv test`. Needs Python 3.11 or later
# with venv.

ensure_venv() {
  local root extras candidate stamp
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  extras=${1:-pipeline}
  python=$root/.venv/bin/python
  unset PYTHONHOME PIP_TARGET PIP_PREFIX PIP_ROOT PIP_DRY_RUN  # .venv is where all goes
  unset PYTHONDONTWRITEBYTECODE  # each process would compile Beam, which takes six seconds
  export PIP_USER=0
  # Installed once for each state of setup.py; the packages themselves are used from this tree. The
  # extra `test` has all that the others have.
  for stamp in "$root/.venv/installed-$extras" "$root/.venv/installed-test"; do
    if [ -x "$python" ] && cmp -s "$root/setup.py" "$stamp"; then
      return
    fi
  done
  # One that lacks pip is of a Python without ensurepip, or of a start that was stopped.
  if ! "$python" -P -m pip list >/dev/null 2>&1; then
    make_venv "$root/.venv" || return 2
  fi
  echo "pagecast: installing into .venv (a minute, once)" >&2
  install_packages --editable "${root}[$extras]" >&2
  cp "$root/setup.py" "$root/.venv/installed-$extras"
}

make_venv() {
  local candidate
  if [ -L "$1" ]; then
    echo "pagecast: $1 is a link to what has no Python with pip: remove it, and one is made" >&2
    return 2
  fi
  for candidate in python3 python3.13 python3.12 python3.11; do
    if "$candidate" -P -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
      && "$candidate" -P -m venv --clear "$1" >/dev/null 2>&1; then
      return
    fi
  done
  echo "pagecast: needs Python 3.11 or later with venv (Debian: apt install python3-venv)" >&2
  return 2
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
