#!/usr/bin/env bash
# A small synthesiser of one rendered voice: learns its alignment itself, Griffin-Lim makes the waveform.
#: task=TTS hours=0.3 needs="espeak-ng, flite; 8 CPU minutes"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

corpus=downloads     # rendered there by stage 1
train_set=train
valid_set=dev
test_sets="eval1"
fs=16000
token_type=phn
g2p=espeak_ng_english_us_vits
cleaner=none         # the corpus' text is already as spoken
inference_model=valid.mel.ave.pth
nj=2
. "$ROOT/egs2/TEMPLATE/tts1/tts.sh"
