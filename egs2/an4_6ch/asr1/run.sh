#!/usr/bin/env bash
# AN4 spoken to a tablet with six microphones in noisy rooms; masks, MVDR beamformer and recogniser trained together.
#: task=ASR hours=0.8 needs="AN4 (fetched from CMU, or AN4=<dir>), NOISE=<dir of noise recordings>; 2 CPU hours"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. "$ROOT/local/db.sh"

corpus=$AN4:$NOISE
train_set=train
valid_set=dev
test_sets="test"
speed_perturb_factors="0.9 1.0 1.1"
token_type=bpe
nbpe=80
nj=2
export OMP_NUM_THREADS=1  # so small a model gains nothing from a second thread
. "$ROOT/egs2/TEMPLATE/asr1/asr.sh"
