#!/usr/bin/env bash
# CMU AN4: people spelling and saying dates, numbers and commands; 36 minutes of real speech, trained on a CPU.
#: task=ASR hours=0.8 needs="AN4 (fetched from CMU, or AN4=<dir>); 25 CPU minutes"
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

# AN4_TEST=<dir>: the trained recogniser on another directory of AN4's kind
if [ -n "$AN4_TEST" ]; then
  # shellcheck disable=SC2086  # lm_opts holds several words
  run_stage 13 score_more "Score $AN4_TEST" after lm_train,asr_train -- \
    local/score_more.sh "$AN4_TEST" $tokens "$asr_exp/more" --config $inference_config \
    --model_dir "$asr_exp" --model $inference_model $lm_opts
fi
