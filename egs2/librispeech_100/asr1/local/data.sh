#!/usr/bin/env bash
# Stage 1: LibriSpeech -> data/{train_clean_100,dev,test_clean,test_other,dev_clean,dev_other}. The first argument is
# where the corpus lies; below the recipe what is needed is fetched if it is not there. Options go to the command;
# `prepare_corpus librispeech --help` lists them.
set -euo pipefail
# shellcheck source=path.sh
. ../../../path.sh
sets="train_clean_100=train-clean-100,dev=dev-clean+dev-other"
sets+=",test_clean=test-clean,test_other=test-other,dev_clean=dev-clean,dev_other=dev-other"
exec python -m espnet_ext.bin.prepare_corpus librispeech "$1" data --download_to downloads --sets "$sets" "${@:2}"
