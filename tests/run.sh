#!/usr/bin/env bash
# Builds the environment if need be and runs the tests; exits non-zero if one fails.
#
# Usage: tests/run.sh [--fast] [PYTEST ARGUMENTS...]
#   --fast   leave out the tests marked slow (under two minutes)
#   --help   print this
# Examples:
#   tests/run.sh --fast
#   tests/run.sh tests/text -k phonemes -x
#
# Tests use no network. Those on real recordings look in ESPNET_EXT_REALDATA (default: ../shared/realdata beside the
# repository) and say why they are skipped where there are none.
set -euo pipefail

fast=()
case ${1-} in
  --help | -h) sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p;}' "$0"; exit ;;
  --fast) fast=(-m "not slow"); shift ;;
esac

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=../path.sh
. "$here/../path.sh"

# Paths in the arguments count from the repository, as they are printed.
cd "$ROOT"
# A worker a core, each with whole files and one thread; PYTEST_WORKERS=0 keeps all in one process, for --pdb.
workers=${PYTEST_WORKERS:-$(python -m espnet_ext.machine)}
export OMP_NUM_THREADS=1
exec python -m pytest -n "$workers" --dist loadfile ${fast[@]+"${fast[@]}"} "$@"
