#!/usr/bin/env bash
# JSUT: one Japanese voice, 10 hours, phonemes and accent by Open JTalk; VITS makes the waveform.
#: task=TTS hours=10 needs="jsut_ver1.1 (fetched, 2.7 GB, or JSUT=<dir>); pyopenjtalk's dictionary; a GPU"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. "$ROOT/local/db.sh"

corpus=$JSUT
train_set=train
valid_set=dev
test_sets="dev eval1"
fs=22050
token_type=phn
g2p=pyopenjtalk_prosody
cleaner=none
tts_task=gan_tts
tts_config=conf/train_vits.yaml
inference_config=conf/decode_vits.yaml
inference_model=valid.generator_mel_loss.best.pth
nj=16
gpu=1
. "$ROOT/egs2/TEMPLATE/tts1/tts.sh"
