#!/usr/bin/env bash
# Wall Street Journal, SI-284: E-Branchformer with CTC and attention on characters, Transformer LM.
#: task=ASR hours=81 needs="WSJ0=<LDC93S6B> WSJ1=<LDC94S13B> (licensed); ffmpeg or sph2pipe; a GPU"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. "$ROOT/local/db.sh"

corpus=$WSJ0:$WSJ1
train_set=train_si284
valid_set=test_dev93
test_sets="test_dev93 test_eval92"
speed_perturb_factors="0.9 1.0 1.1"
max_seconds=30
token_type=char
token_opts="--nlsyms data/nlsyms.txt"
score_opts="--nlsyms data/nlsyms.txt"   # noises do not count, as in the figures to compare with
lm_train_text=data/local/lm_text/text   # the newspaper's text of 1987-89 besides the transcripts
nj=16
gpu=1
. "$ROOT/egs2/TEMPLATE/asr1/asr.sh"
