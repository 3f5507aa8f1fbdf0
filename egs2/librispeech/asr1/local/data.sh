#!/usr/bin/env bash
# Stage 1: LibriSpeech -> data/{train_960,dev,test_clean,test_other,dev_clean,dev_other}, and the books' text for the
# language model. The first argument is where the corpus lies; below the recipe it is fetched if it is not there.
# Options go to the command; `prepare_corpus librispeech --help` lists them.
set -euo pipefail
# shellcheck source=path.sh
. ../../../path.sh
sets="train_960=train-clean-100+train-clean-360+train-other-500,dev=dev-clean+dev-other"
sets+=",test_clean=test-clean,test_other=test-other,dev_clean=dev-clean,dev_other=dev-other"
exec python -m espnet_ext.bin.prepare_corpus librispeech "$1" data --download_to downloads --sets "$sets" --lm_text 1 \
  "${@:2}"
