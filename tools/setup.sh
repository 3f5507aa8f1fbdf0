#!/usr/bin/env bash
# Builds the environment of every recipe and test: system packages, then .venv with the pinned Python packages.
# Run it again whenever you like: it does what is missing and goes on where an earlier run stopped.
#
# Usage: tools/setup.sh            build or update the environment
#        tools/setup.sh --check    print a table of what is there; exit 1 if something needed is missing
#        tools/setup.sh --ready    exit 0 if the environment is built from the present lists, else 1 (path.sh asks)
#        tools/setup.sh --help     print this
#
# Environment variables:
#   PYTHON=python3.12           the interpreter to build on, 3.10 to 3.12 (default: the first that is found)
#   ESPNET_EXT_SYSTEM_TORCH=1   keep the torch that this interpreter already has, instead of installing one
#   pip's own (PIP_INDEX_URL, PIP_FIND_LINKS ...) and pip.conf count as ever; for a small torch on a machine without
#   a GPU, for example: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu tools/setup.sh
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
TOOLS=$ROOT/tools
VENV=$ROOT/.venv
if [ -d "$VENV" ]; then VENV=$(cd "$VENV" && pwd -P); fi  # may be a link to the environment of another checkout
STAMP=$VENV/.built-from
STEPS=6
step=0
PATH=${PATH//"$VENV/bin:"/}  # a shell that has sourced path.sh: .venv cannot be built from itself

say() { printf '%s\n' "setup: $*" >&2; }
die() { say "$*"; exit 1; }
begin() { step=$((step + 1)); say "[$step/$STEPS] $*"; }

checksum() { cat "$TOOLS"/requirements*.txt "$TOOLS/system-packages.txt" | cksum; }
moved() { ! grep -qF "$VENV/bin/python" "$VENV/bin/pip" 2>/dev/null; }
ready() { [ "$(cat "$STAMP" 2>/dev/null)" = "$(checksum)" ] && ! moved; }

supported() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1; }
makes_venvs() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }
has_headers() { "$1" -c 'import os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")' >/dev/null 2>&1; }

# The interpreter to build on: the first supported one that can make virtual environments, else the first supported.
find_python() {
  local candidate second=
  for candidate in ${PYTHON:-python3 python3.12 python3.11 python3.10}; do
    supported "$candidate" || continue
    makes_venvs "$candidate" && { command -v "$candidate"; return; }
    second=${second:-$candidate}
  done
  echo "$second"
}

present() {  # present PROOF: is the system package there that PROOF stands for?
  case $1 in
    python:ensurepip) [ -n "$python" ] && makes_venvs "$python" ;;
    python:headers) [ -n "$python" ] && has_headers "$python" ;;
    /*) [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

missing_packages() {
  local package proof missing=()
  while read -r package proof _; do
    case $package in '#'* | '') ;; *) present "$proof" || missing+=("$package") ;; esac
  done <"$TOOLS/system-packages.txt"
  echo "${missing[*]}"
}

# Debian's installer as root or with a sudo that asks nothing; otherwise one line to type.
system_packages() {
  local missing sudo='sudo -n'
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  [ "$(id -u)" != 0 ] || sudo=
  if command -v apt-get >/dev/null && { [ -z "$sudo" ] || sudo -n true 2>/dev/null; }; then
    # shellcheck disable=SC2086  # words on purpose
    apt_install "$sudo" $missing && { find_again; return 0; }
  fi
  advice="missing system packages; an administrator types: sudo apt-get update && sudo apt-get install -y $missing"
  command -v apt-get >/dev/null || advice="missing system packages; install what your system calls: $missing"
  say "$advice"
}

apt_install() {
  local sudo=$1
  shift
  say "apt-get install $*"
  $sudo apt-get -qq update </dev/null >&2 || say "could not refresh the package lists; trying with the old ones"
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" </dev/null >&2
}

find_again() { python=$(find_python); }

require_python() {
  [ -n "$python" ] || die "found no Python from 3.10 to 3.12 (tried: ${PYTHON:-python3 python3.12 python3.11 python3.10});" \
    "install one, for example 'sudo apt-get install -y python3-venv python3-dev', or name it: PYTHON=/path/to/python3.11 tools/setup.sh"
  makes_venvs "$python" || die "$python has no venv module, which makes .venv;" \
    "type: sudo apt-get install -y python3-venv, or name another one: PYTHON=/path/to/python3.11 tools/setup.sh"
}

whole_venv() {  # pip's RECORD is the last file that the making of a virtual environment writes
  supported "$VENV/bin/python" && ! moved && compgen -G "$VENV/lib/python3*/site-packages/pip-*.dist-info/RECORD" >/dev/null
}

make_venv() {
  whole_venv && { say "$VENV is there"; return 0; }
  local options=(--clear)
  [ "${ESPNET_EXT_SYSTEM_TORCH:-0}" != 1 ] || options+=(--system-site-packages)
  say "$python -m venv ${options[*]} $VENV"
  "$python" -m venv "${options[@]}" "$VENV"
}

# Byte code is compiled afterwards by all cores at once. A log need not list what was there already.
pip_install() {
  local pip=("$VENV/bin/python" -m pip install --no-input --disable-pip-version-check --no-compile "$@")
  if [ -t 2 ]; then
    "${pip[@]}" </dev/null >&2
  else
    "${pip[@]}" </dev/null 2>&1 | { grep --line-buffered -vE '^(Requirement already satisfied|Ignoring )' || true; } >&2
  fi
}

environment() { "$VENV/bin/python" "$TOOLS/environment.py" "$@"; }

# The list as it is, or, where the interpreter's own torch stays, without torch and held to that torch.
pinned_packages() {
  local list=$TOOLS/requirements.txt torch
  if ! grep -q 'include-system-site-packages = true' "$VENV/pyvenv.cfg"; then
    [ "${ESPNET_EXT_SYSTEM_TORCH:-0}" != 1 ] || die ".venv was built with a torch of its own; remove $VENV first"
    pip_install -r "$list"
    return
  fi
  torch=$(environment system_torch) || die "ESPNET_EXT_SYSTEM_TORCH=1, but $python has no torch: leave the variable out"
  say "keeping the torch $torch of $python"
  grep -v '^torch==' "$list" >"$VENV/requirements.txt"
  echo "torch==$torch" >"$VENV/constraints.txt"
  pip_install -r "$VENV/requirements.txt" -c "$VENV/constraints.txt"
}

# One set-up at a time: the lock goes with the processes that hold it, also when they are killed.
lock() {
  exec 9>>"$ROOT/.venv.lock"
  flock -n 9 || die "another set-up is at work here (process $(tail -n 1 "$ROOT/.venv.lock")); wait for it, then run this again"
  echo "$$" >"$ROOT/.venv.lock"
}

build() {
  [ ! -L "$ROOT/.venv" ] || die "found .venv linked to $VENV, which is not built from the lists of $ROOT; expected one that is:" \
    "run tools/setup.sh where it belongs, or remove the link and run this again"
  begin "system packages"
  system_packages
  begin "virtual environment"
  require_python
  make_venv
  begin "Python packages at their pinned versions (a few minutes the first time)"
  environment mend
  pinned_packages
  begin "ESPnet and others whose stated needs do not hold"
  pip_install --no-deps -r "$TOOLS/requirements-nodeps.txt"
  begin "torchaudio for this torch; language data"
  environment torchaudio
  environment language
  begin "byte code"
  "$VENV/bin/python" -m compileall -q -j 0 "$VENV/lib" >/dev/null 2>&1 || true  # some packages ship templates that do not parse
  environment complete
  checksum >"$STAMP.new"
  mv "$STAMP.new" "$STAMP"
}

on_exit() {
  local status=$?
  [ "$status" = 0 ] || [ "$step" = 0 ] || say "stopped in step $step of $STEPS; run tools/setup.sh again to go on"
  [ "$status" = 0 ] || [ -z "${advice-}" ] || say "$advice"
}

check() {
  python=$(find_python)
  local from=$VENV/bin/python
  [ -x "$from" ] || from=${python:-python3}
  "$from" "$TOOLS/environment.py" check --python "$python" --missing "$(missing_packages)"
}

main() {
  case ${1-} in
    '') ;;
    --check) check; return ;;
    --ready) ready; return ;;
    --help | -h) sed -n '2,/^set /{s/^# \{0,1\}//;/^set /!p}' "${BASH_SOURCE[0]}"; return ;;
    *) say "unknown option $1; see tools/setup.sh --help"; exit 2 ;;
  esac
  trap on_exit EXIT
  lock
  python=$(find_python)
  advice=
  SECONDS=0
  if ready; then system_packages; else build; fi
  [ "$step" = 0 ] || [ -z "$advice" ] || say "$advice"  # once more, where it is seen
  if [ "$step" = 0 ]; then say "everything is in place"; else say "done in $SECONDS s"; fi
}

main "$@"
