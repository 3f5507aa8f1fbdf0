# What comes after scoring, sourced by asr.sh: the packed model, and the test sets under other conditions.
# shellcheck shell=bash
# shellcheck disable=SC2046,SC2086,SC2154  # options hold several words, and asr.sh sets them

run_stage 14 pack "Pack the model as a zip that ESPnet reads" after lm_train,ngram,asr_train,asr_score -- \
  $bin.pack --task asr --model_dir "$asr_exp" --model $inference_model $lm_opts $ngram_opt \
  --decode_config $inference_config ${licence:+--licence "$licence"} --output "$packed"

if ! $skip_upload; then
  run_stage 15 upload "Upload the packed model" after pack -- \
    $bin.upload --repo "$hf_repo" "$packed"
fi

if [ -n "$suites" ]; then
  suite_sets=$(for name in $test_sets; do printf "$name-%s " $suites; done)

  run_stage 20 suites "Make the test sets' evaluation suites" after filter makes "$(under dump/suites $suite_sets)" -- \
    $bin.make_suite --nj $nj --conditions "$suites" --train_text "data/$train_set/text" $suite_opts \
    $(under dump/raw $test_sets) dump/suites

  run_stage 21 suite_decode "Recognise them" after suites,lm_train,ngram,asr_train -- \
    $decode_cmd --gpu $gpu JOB=1:$nj "$decoded/suites/logs/decode.JOB.log" \
    $bin.asr_decode --job JOB/$nj --device $device --config $inference_config --model_dir "$asr_exp" \
    --model $inference_model $lm_opts $ngram_opt --output_dir "$decoded/suites" dump/suites $suite_sets

  run_stage 22 suite_score "Score them beside the test sets" after suite_decode,asr_score -- \
    $bin.score_suites --ref dump/suites --hyp "$decoded/suites" --clean_ref dump/raw --clean "$decoded" \
    --conditions "$suites" $score_opts $test_sets
fi
