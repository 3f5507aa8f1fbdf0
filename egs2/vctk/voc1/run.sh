#!/usr/bin/env bash
# VCTK: a vocoder of 109 voices; HiFi-GAN V1 (or: Vocos, or 24 or 44.1 kHz, see README.md).
#: task=vocoder hours=44 needs="VCTK 0.92 or 0.80 (fetched, 11 GB, or VCTK=<dir>); a GPU"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. "$ROOT/local/db.sh"

corpus=$VCTK
train_set=train
valid_set=dev
test_sets="dev eval1"
fs=22050
nj=16
gpu=1
. "$ROOT/egs2/TEMPLATE/voc1/voc.sh"
