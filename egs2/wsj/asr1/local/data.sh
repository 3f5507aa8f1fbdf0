#!/usr/bin/env bash
# Stage 1: WSJ0 and WSJ1 (DIR0:DIR1) -> data/{train_si284,test_dev93,test_eval92}. The first argument is where the
# corpus lies. Options go to the command; `prepare_corpus wsj --help` lists them.
set -euo pipefail
# shellcheck source=path.sh
. ../../../path.sh
exec python -m espnet_ext.bin.prepare_corpus wsj "$1" data --lm_text 1 "${@:2}"
