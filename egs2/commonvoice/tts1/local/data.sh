#!/usr/bin/env bash
# Stage 1: Common Voice -> data/{train,dev,eval1}. The first argument is where the corpus lies. Options go to the
# command; `prepare_corpus commonvoice --help` lists them.
set -euo pipefail
# shellcheck source=path.sh
. ../../../path.sh
exec python -m espnet_ext.bin.prepare_corpus commonvoice "$1" data --task tts "${@:2}"
