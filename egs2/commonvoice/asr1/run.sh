#!/usr/bin/env bash
# Common Voice, any language (English unless said otherwise): E-Branchformer with CTC and attention, Transformer LM.
#: task=ASR hours=2300 needs="Common Voice (COMMONVOICE=<dir>, from its site after logging in); GPUs"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. "$ROOT/local/db.sh"

corpus=$COMMONVOICE
local_data_opts="--language en"    # a smaller language wants a smaller nbpe: 150 for most, 2500 for Chinese
train_set=train
valid_set=dev
test_sets="dev test"
token_type=bpe
nbpe=5000
nj=16
gpu=1
. "$ROOT/egs2/TEMPLATE/asr1/asr.sh"
