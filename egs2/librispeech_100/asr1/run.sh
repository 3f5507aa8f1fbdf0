#!/usr/bin/env bash
# LibriSpeech train-clean-100: E-Branchformer with CTC and attention, no language model.
#: task=ASR hours=100 needs="LibriSpeech (fetched, 8 GB, or LIBRISPEECH=<dir>); a GPU"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. "$ROOT/local/db.sh"

corpus=$LIBRISPEECH
train_set=train_clean_100
valid_set=dev
test_sets="test_clean test_other dev_clean dev_other"
speed_perturb_factors="0.9 1.0 1.1"
max_seconds=30
token_type=bpe
nbpe=5000
use_lm=false
nj=16
gpu=1
. "$ROOT/egs2/TEMPLATE/asr1/asr.sh"
