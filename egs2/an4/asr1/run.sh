#!/usr/bin/env bash
# CMU AN4: people spelling and saying dates, numbers and commands; 36 minutes of real speech, trained on a CPU.
#: task=ASR hours=0.8 needs="AN4 (fetched from CMU, or AN4=<dir>); 45 CPU minutes"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. "$ROOT/local/db.sh"

corpus=$AN4
train_set=train
valid_set=dev
test_sets="test"
speed_perturb_factors="0.9 1.0 1.1"
token_type=bpe
nbpe=80
nj=2
export OMP_NUM_THREADS=1  # so small a model gains nothing from a second thread, and this one is never waited for
. "$ROOT/egs2/TEMPLATE/asr1/asr.sh"

# AN4_TEST=<dir>: the trained recogniser on another directory of AN4's kind; its scores lie in exp/more
# shellcheck disable=SC2086  # lm_opts and train_cmd hold several words
if [ -n "$AN4_TEST" ]; then
  run_stage 16 more_data "Prepare what AN4_TEST names" reads "$AN4_TEST" makes data/more -- \
    $bin.prepare_corpus an4 "$AN4_TEST" data/more --as_test more

  run_stage 17 more_format "Write its audio in one form" after more_data makes dump/more/more -- \
    $train_cmd JOB=1:$nj $logs/more_format.JOB.log \
    $bin.format_audio --job JOB/$nj --fs $fs --audio_format $audio_format $format_opts data/more dump/more more

  run_stage 18 more_decode "Recognise it" after more_format,lm_train,asr_train -- \
    $decode_cmd --gpu $gpu JOB=1:$nj exp/more/logs/decode.JOB.log \
    $bin.asr_decode --job JOB/$nj --device $device --config $inference_config --model_dir "$asr_exp" \
    --model $inference_model $lm_opts --output_dir exp/more dump/more more

  run_stage 19 more_score "Score it" after more_decode -- \
    $bin.score_asr --hyp exp/more --ref dump/more --tokens $tokens $score_opts more
elif [ "${stage:-1}" -gt 15 ] && [ "$stage" -lt 20 ]; then
  echo "stage $stage: found no AN4_TEST, expected a directory laid out as AN4: AN4_TEST=<dir> $0 --stage $stage" >&2
  exit 2
fi
