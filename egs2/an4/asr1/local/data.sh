#!/usr/bin/env bash
# Stage 1: AN4 -> data/{train,dev,test}. The first argument is where the corpus lies; below the recipe it is
# fetched from CMU if it is not there. Options go to the command; `prepare_corpus an4 --help` lists them.
set -euo pipefail
# shellcheck source=path.sh
. ../../../path.sh
exec python -m espnet_ext.bin.prepare_corpus an4 "$1" data --download_to downloads "${@:2}"
