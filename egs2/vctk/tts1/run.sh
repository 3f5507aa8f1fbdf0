#!/usr/bin/env bash
# VCTK: 109 voices and many accents, 44 hours; VITS makes the waveform (or: AlignedFastSpeech, see README.md).
#: task=TTS hours=44 needs="VCTK 0.92 or 0.80 (fetched, 11 GB, or VCTK=<dir>); espeak-ng; a GPU"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. "$ROOT/local/db.sh"

corpus=$VCTK
train_set=train
valid_set=dev
test_sets="dev eval1"
fs=22050
min_seconds=1.0
use_sid=true
token_type=phn
g2p=espeak_ng_english_us_vits
cleaner=tacotron
tts_task=gan_tts
tts_config=conf/train_vits.yaml
inference_config=conf/decode_vits.yaml
inference_model=valid.generator_mel_loss.best.pth
nj=16
gpu=1
. "$ROOT/egs2/TEMPLATE/tts1/tts.sh"
