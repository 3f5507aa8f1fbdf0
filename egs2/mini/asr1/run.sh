#!/usr/bin/env bash
# A small recogniser of rendered speech: 39 training voices, held-out voices and sentences in the test set.
#: task=ASR hours=1.3 needs="espeak-ng, flite; 4 CPU minutes"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

corpus=downloads     # rendered there by stage 1
local_data_opts="--train 1300"
train_set=train
valid_set=dev
test_sets="test"
token_type=bpe
nbpe=150             # the grammar has some 270 words
nj=2
. "$ROOT/egs2/TEMPLATE/asr1/asr.sh"
