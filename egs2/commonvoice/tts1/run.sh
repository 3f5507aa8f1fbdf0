#!/usr/bin/env bash
# Common Voice as a synthesiser of a second language: German, its most diligent speakers, phonemes by espeak-ng; VITS.
#: task=TTS hours=100 needs="Common Voice de (COMMONVOICE=<dir>, from its site after logging in); espeak-ng; a GPU"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. "$ROOT/local/db.sh"

corpus=$COMMONVOICE
local_data_opts="--language de"    # g2p below has to speak it too
train_set=train
valid_set=dev
test_sets="dev eval1"
fs=22050
min_seconds=1.0
use_sid=true
token_type=phn
g2p=espeak_ng_german
cleaner=none
tts_task=gan_tts
tts_config=conf/train_vits.yaml
inference_config=conf/decode_vits.yaml
inference_model=valid.generator_mel_loss.best.pth
nj=16
gpu=1
. "$ROOT/egs2/TEMPLATE/tts1/tts.sh"
