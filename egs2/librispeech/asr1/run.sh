#!/usr/bin/env bash
# LibriSpeech, all 960 hours: E-Branchformer with CTC and attention, and a Transformer LM of the books' text.
#: task=ASR hours=960 needs="LibriSpeech (fetched, 62 GB, or LIBRISPEECH=<dir>); GPUs"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. "$ROOT/local/db.sh"

corpus=$LIBRISPEECH
train_set=train_960
valid_set=dev
test_sets="test_clean test_other dev_clean dev_other"
speed_perturb_factors="0.9 1.0 1.1"
max_seconds=30                          # the longest utterance of the corpus has 35 s
token_type=bpe
nbpe=5000
lm_train_text=data/local/lm_text/text   # 803 million words besides the transcripts; "" = transcripts alone
nj=16
gpu=1
. "$ROOT/egs2/TEMPLATE/asr1/asr.sh"
