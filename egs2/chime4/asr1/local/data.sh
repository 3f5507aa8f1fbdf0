#!/usr/bin/env bash
# Stage 1: CHiME-4 with WSJ's clean speech -> data/{tr05_multi_noisy_si284,dt05_multi_isolated_1ch_track} and the tests.
# The first argument is CHIME4:WSJ0:WSJ1. Options go to the command; `prepare_corpus chime4 --help` lists them.
set -euo pipefail
# shellcheck source=path.sh
. ../../../path.sh
IFS=: read -r chime4 wsj0 wsj1 <<< "$1"
[ -n "$chime4" ] || exec python -m espnet_ext.bin.prepare_corpus chime4 "" data
python -m espnet_ext.bin.prepare_corpus wsj "$wsj0:$wsj1" data/wsj --sets train_si284 --lm_text 1
mkdir -p data/local
ln -sfn ../wsj/local/lm_text data/local/lm_text
exec python -m espnet_ext.bin.prepare_corpus chime4 "$chime4" data --wsj data/wsj/train_si284 "${@:2}"
