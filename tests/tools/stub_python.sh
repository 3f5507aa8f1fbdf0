#!/usr/bin/env bash
# Stands in for an interpreter in the tests of set-up: makes a virtual environment of a few empty files, and its pip
# writes only what an installed package looks like. WORLD is the test's directory; REAL a real Python.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)  # .venv, when this copy is .venv/bin/python
site=$here/lib/python3.11/site-packages

install() {  # install NAME VERSION: as pip does it, RECORD last
  local info=$site/$1-$2.dist-info
  mkdir -p "$info"
  printf 'Metadata-Version: 2.1\nName: %s\nVersion: %s\n' "$1" "$2" >"$info/METADATA"
  [ ! -e "$WORLD/pip-hangs" ] || { touch "$WORLD/hanging"; sleep 60; }
  touch "$info/RECORD"
}

case "$*" in
  "-m venv "*)
    venv=${*: -1}
    [[ $* != *--clear* ]] || rm -rf "$venv"
    mkdir -p "$venv/bin" "$venv/lib/python3.11/site-packages/pip-1.dist-info"
    inherits=false
    [[ $* != *--system-site-packages* ]] || inherits=true
    echo "include-system-site-packages = $inherits" >"$venv/pyvenv.cfg"
    cp "$0" "$venv/bin/python"
    echo "#!$venv/bin/python" >"$venv/bin/pip"
    touch "$venv/lib/python3.11/site-packages/pip-1.dist-info/RECORD"
    ;;
  "-m pip "*)
    echo "pip $*" >>"$WORLD/calls"
    list=$(sed -E 's/.* -r ([^ ]*).*/\1/' <<<"$*")
    while IFS='=' read -r name _ version; do install "$name" "$version"; done < <(grep '==' "$list")
    mkdir -p "$site/torch" "$site/torchaudio/lib"
    touch "$site/torch/__init__.py" "$site/torchaudio/__init__.py" "$site/torchaudio/lib/part.so"
    echo "cuda = ${CUDA:-None}" >"$site/torch/version.py"
    ;;
  "-m compileall "*) ;;
  *) PYTHONPATH=$site:$WORLD/system-site exec "$REAL" -S "$@" ;;  # -S: starts sooner
esac
