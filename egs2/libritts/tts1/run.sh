#!/usr/bin/env bash
# LibriTTS or LibriTTS-R, train-clean-460: 1,151 readers, 245 hours; VITS makes the waveform.
#: task=TTS hours=245 needs="LibriTTS or LibriTTS_R (fetched, 40 GB, or LIBRITTS=<dir>); espeak-ng; GPUs"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. "$ROOT/local/db.sh"

corpus=$LIBRITTS
train_set=train
valid_set=dev
test_sets="dev eval1"    # other sentences of the readers it knows; dev_clean and test_clean are of unknown readers
fs=22050
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
