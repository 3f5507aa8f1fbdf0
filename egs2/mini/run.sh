#!/usr/bin/env bash
# The small end-to-end job, on a CPU: trains and tests a recogniser (asr1) and a synthesiser (tts1) of rendered
# speech, lets the recogniser hear the synthesiser, and writes one page about it all: exp/mini/report.html.
#
# Run it again and it goes on where it stopped. The recipes' own options: --recipe mini/asr1 --help.
#: task="ASR and TTS" hours=1.0 needs="espeak-ng, flite; 10 CPU minutes"
# shellcheck disable=SC2086  # bin holds several words
# shellcheck source=path.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../path.sh"
cd "$ROOT/egs2/mini" || exit 1
# shellcheck source=tools/recipe.sh
. "$ROOT/tools/recipe.sh"

## Recipes
asr_args=         # more options for asr_train, for example "--set max_epoch=1"
tts_args=         # more options for tts_train

## Jobs
nj=2              # parallel jobs for data, decoding and synthesis
gpu=0             # GPUs for training and for each decoding job; 0 = CPU

## Result
output=exp/mini   # directory of report.html and summary.json, seen from the repository
parse_options "$@"

cd "$ROOT"
bin="python -m espnet_ext.bin"
device=cpu
if [ "$gpu" -gt 0 ]; then device=cuda; fi
asr=egs2/mini/asr1
tts=egs2/mini/tts1

run_recipe 1 asr "Train and test the recogniser" -- $asr --nj "$nj" --gpu "$gpu" \
  ${asr_args:+--asr_args "$asr_args"}

run_recipe 2 tts "Train and test the synthesiser" -- $tts --nj "$nj" --gpu "$gpu" \
  ${tts_args:+--tts_args "$tts_args"}

wait_recipes  # both at once, each with half of the cores

run_stage 3 round_trip "Let the recogniser hear the synthesiser" after asr,tts -- \
  $bin.round_trip --asr $asr --tts $tts --recordings --device $device --output "$output/round_trip"

run_stage 4 report "Write the page" after asr,tts,round_trip -- \
  $bin.report --asr $asr --tts $tts --round_trip "$output/round_trip" --output "$output" \
  --title "The small end-to-end job" --quiet

if [ "${stop_stage:-4}" -ge 4 ] && [ -f "$output/results.txt" ] && ! $dry_run; then cat "$output/results.txt"; fi
