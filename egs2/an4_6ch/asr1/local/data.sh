#!/usr/bin/env bash
# Stage 1: AN4 -> data/clean -> data/{train,dev,test} of six noisy channels, and data/local/masks.pth, which training
# starts from. The first argument is AN4:NOISE. Options go to `train_masks`, whose --help lists them.
set -euo pipefail
# shellcheck source=path.sh
. ../../../path.sh
IFS=: read -r an4 noise <<< "$1"
python -m espnet_ext.bin.prepare_corpus an4 "$an4" data/clean --download_to downloads

# no part of a noise recording is heard in training and in a test
for set in train dev test; do
  stretch=0.6,1
  [ "$set" = train ] && stretch=0,0.6
  jobs=()
  for job in 1 2; do
    python -m espnet_ext.bin.simulate_rooms --job "$job/2" --noise "$noise" --stretch "$stretch" \
      "data/clean/$set" "data/$set" &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do wait "$job"; done
done
exec python -m espnet_ext.bin.train_masks --config conf/train_asr.yaml --noise "$noise" --stretch 0,0.6 \
  "${@:2}" data/clean/train data/local/masks.pth
