#!/usr/bin/env bash
# CMU AN4: people spelling and saying dates, numbers and commands; 36 minutes of real speech, trained on a CPU.
#: task=ASR hours=0.8 needs="AN4 (downloaded from CMU, or AN4=<dir>); 25 CPU minutes"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

train_set=train
valid_set=dev
test_sets="test${AN4_TEST:+ test_extra}"   # AN4_TEST=<dir>: also score another folder laid out as AN4
speed_perturb_factors="0.9 1.0 1.1"
token_type=bpe
nbpe=80
nj=2
. "$ROOT/egs2/TEMPLATE/asr1/asr.sh"
