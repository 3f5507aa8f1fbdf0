#!/usr/bin/env bash
# Stage 1: JSUT -> data/{train,dev,eval1}. The first argument is where the corpus lies; below the recipe it is
# fetched if it is not there. Options go to the command; `prepare_corpus jsut --help` lists them.
set -euo pipefail
# shellcheck source=path.sh
. ../../../path.sh
exec python -m espnet_ext.bin.prepare_corpus jsut "$1" data --download_to downloads "${@:2}"
