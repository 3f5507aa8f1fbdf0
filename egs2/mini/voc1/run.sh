#!/usr/bin/env bash
# A small vocoder for the rendered voice of mini/tts1: Vocos, made for a CPU.
#: task=vocoder hours=0.3 needs="flite; 10 CPU minutes"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

corpus=downloads     # rendered there by stage 1
train_set=train
valid_set=dev
test_sets="eval1"
fs=16000
voc_config=conf/train_vocos.yaml
nj=2
. "$ROOT/egs2/TEMPLATE/voc1/voc.sh"
