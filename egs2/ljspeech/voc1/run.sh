#!/usr/bin/env bash
# LJ Speech: a vocoder of one voice; HiFi-GAN V1 (or: Vocos for a CPU, see README.md).
#: task=vocoder hours=24 needs="LJSpeech-1.1 (fetched, 2.6 GB, or LJSPEECH=<dir>); a GPU"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. "$ROOT/local/db.sh"

corpus=$LJSPEECH
train_set=train
valid_set=dev
test_sets="dev eval1"
fs=22050
nj=16
gpu=1
. "$ROOT/egs2/TEMPLATE/voc1/voc.sh"
