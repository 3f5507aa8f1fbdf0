# The stages of a speech recogniser, sourced by egs2/<corpus>/asr1/run.sh, which sets the options.
# Each stage is one command that also works by hand; see tools/recipe.sh for how it resumes.
# shellcheck shell=bash
# shellcheck disable=SC2086  # options such as test_sets and train_cmd hold several words
# shellcheck source=tools/recipe.sh
. "$ROOT/tools/recipe.sh"
# shellcheck source=local/cmd.sh
. "$ROOT/local/cmd.sh"

## Data
corpus=                  # where the corpus lies; recipes take it from local/db.sh
train_set=train          # training set, a directory under data/ that local/data.sh makes
valid_set=dev            # validation set
test_sets="test"         # test sets, decoded and scored
local_data_opts=         # options for local/data.sh
speed_perturb_factors=   # speeds to copy the training set at, for example "0.9 1.0 1.1"
augment_opts=            # augmented copies of the training set, too: "--augment conf/augment.yaml --copies 1"
fs=16000                 # sampling rate in Hz
audio_format=flac        # flac, wav, flac.ark or wav.ark
format_opts=             # more options for format_audio: "--skip_broken", "--no_resample", "--ref_channels 0"
min_seconds=0.1          # utterances of train and valid that are shorter are left out
max_seconds=20           # and those that are longer
audit_opts=              # look through every formatted set with these options of audit_data, e.g. "--nj 4": stage 24, exp/audit/SET.html
filter_opts=             # more options for filter_data, by what format_audio measured: "--rule snr>=10 --rule clipped<=0.001"

## Tokens
token_type=bpe           # bpe, char, word or phn
nbpe=100                 # how many tokens there are with token_type=bpe
token_opts=              # more options for train_tokens, for example "--g2p espeak"

## Language model
use_lm=true              # train one and decode with it
lm_config=conf/train_lm.yaml  # its size and training
lm_tag=                  # name of exp/lm_TAG; made from lm_config and the tokens when empty
lm_train_text=           # texts for it beside the training set's, one "id sentence" a line
use_ngram=false          # train an n-gram model on tokens, from the same texts, and decode with it
ngram_order=4            # its longest n-gram
ngram_opts=              # more options for ngram_train: "--cutoffs 0 1 1" = a smaller model

## Recogniser
asr_config=conf/train_asr.yaml  # model and training
asr_tag=                 # name of exp/asr_TAG; made from asr_config and the tokens when empty
asr_args=                # more options for asr_train, for example "--set max_epoch=5"

## Decoding
inference_config=conf/decode_asr.yaml  # beam, weights of CTC and LM
inference_model=valid.acc.ave.pth      # which checkpoint
inference_tag=           # name of the decoding's directory; made from inference_config when empty
score_opts=              # more options for score_asr: "--nlsyms data/nlsyms.txt" = these symbols do not count
suites=                  # conditions to test under, for example "noise_10db reverb_0.6s telephone": see make_suite --help
suite_opts=              # more options for make_suite, for example "--noise <folder of noises> --terms <file>"

## Jobs
nj=4                     # parallel jobs for data and decoding
gpu=0                    # GPUs for training and for each decoding job; 0 = CPU
nproc=                   # processes that train together, with a GPU or a core each; as many as GPUs when empty

## Publishing
licence=                 # under which others may use the packed model, e.g. cc-by-4.0
skip_upload=true         # do not upload the packed model
hf_repo=                 # where to, for example my-name/my-model
parse_options "$@"

bin="python -m espnet_ext.bin"
device=$([ "$gpu" -gt 0 ] && echo cuda || echo cpu)
train_opts="--device $device$([ "${nproc:-$gpu}" -lt 2 ] || echo " --nproc ${nproc:-$gpu}")"
logs=exp/logs
train=$train_set${augment_opts:+_aug}${speed_perturb_factors:+_sp}
sets=$(printf '%s\n' $train $valid_set $test_sets | awk '!seen[$0]++')  # each once: training may be judged by a test set
tokens=data/token_list/$token_type
[ "$token_type" = bpe ] && tokens+=_unigram$nbpe
lm_exp=exp/lm_${lm_tag:-$(basename "$lm_config" .yaml)_${tokens##*/}}
lm_text="data/$train_set/text $lm_train_text"  # without copies at other speeds
lm_stats=exp/lm_stats_${tokens##*/}
ngram_exp=exp/ngram_${ngram_order}_${tokens##*/}
asr_exp=exp/asr_${asr_tag:-$(basename "$asr_config" .yaml)_${tokens##*/}${train#"$train_set"}}
packed=$asr_exp/${asr_exp##*/}.zip
asr_stats=exp/asr_stats_${tokens##*/}${train#"$train_set"}
lm_opts=$(if $use_lm; then echo "--lm_dir $lm_exp"; fi)
ngram_opt=$(if $use_ngram; then echo "--ngram $ngram_exp"; fi)
decoded=$asr_exp/${inference_tag:-$(basename "$inference_config" .yaml)${ngram_opt:+_ngram}${lm_opts:+_lm}}

run_stage 1 data "Prepare the corpus as Kaldi data directories" \
  makes "$(under data $train_set $valid_set $test_sets)" -- \
  local/data.sh "$corpus" $local_data_opts

if [ "$train" != "$train_set" ]; then
  run_stage 2 speed_perturb "Copy the training set at other speeds" after data -- \
    $bin.speed_perturb --factors "${speed_perturb_factors:-1.0}" $augment_opts "data/$train_set" "data/$train"
fi

run_stage 3 format "Write audio in one form" after data,speed_perturb \
  makes "$(under dump/raw/org $sets)" -- \
  $train_cmd JOB=1:$nj $logs/format.JOB.log \
  $bin.format_audio --job JOB/$nj --fs $fs --audio_format $audio_format $format_opts \
  data dump/raw/org $sets
# shellcheck source=egs2/TEMPLATE/asr1/audit.sh
. "$ROOT/egs2/TEMPLATE/asr1/audit.sh"

run_stage 4 filter "Leave out utterances that are too short, too long or empty" after format \
  makes "$(under dump/raw $sets)" -- \
  $bin.filter_data --min_seconds $min_seconds --max_seconds $max_seconds $filter_opts --keep "$test_sets" \
  dump/raw/org dump/raw $sets

run_stage 5 tokens "Make the token list" after filter -- \
  $bin.train_tokens --token_type $token_type --nbpe $nbpe $token_opts \
  --text "dump/raw/$train/text" --out $tokens

if $use_lm; then
  run_stage 6 lm_stats "Count the language model's text" after tokens -- \
    $bin.collect_stats --task lm --config $lm_config --tokens $tokens \
    --train $lm_text --valid "dump/raw/$valid_set/text" --output_dir $lm_stats

  run_stage 7 lm_train "Train the language model" after tokens,lm_stats -- \
    $train_cmd --gpu $gpu "$lm_exp/train.log" \
    $bin.lm_train $train_opts --config $lm_config --tokens $tokens \
    --train $lm_text --valid "dump/raw/$valid_set/text" --output_dir "$lm_exp"

  run_stage 8 lm_perplexity "Measure the language model's perplexity" after lm_train -- \
    $train_cmd --gpu $gpu $logs/lm_perplexity.log \
    $bin.lm_perplexity --device $device --model_dir "$lm_exp" \
    --text "dump/raw/${test_sets%% *}/text" --output "$lm_exp/perplexity.json"
fi

if $use_ngram; then
  run_stage 9 ngram "Train the n-gram model" after tokens -- \
    $bin.ngram_train --tokens $tokens --text $lm_text --order $ngram_order $ngram_opts \
    --valid "dump/raw/${test_sets%% *}/text" --output_dir "$ngram_exp"
fi

run_stage 10 asr_stats "Collect mean and variance of the features" after filter,tokens -- \
  $train_cmd $logs/asr_stats.log \
  $bin.collect_stats --task asr --config $asr_config --tokens $tokens \
  --train "dump/raw/$train" --valid "dump/raw/$valid_set" --output_dir $asr_stats

run_stage 11 asr_train "Train the recogniser" after tokens,asr_stats -- \
  $train_cmd --gpu $gpu "$asr_exp/train.log" \
  $bin.asr_train $train_opts --config $asr_config --tokens $tokens --stats_dir $asr_stats \
  --train "dump/raw/$train" --valid "dump/raw/$valid_set" --output_dir "$asr_exp" $asr_args

run_stage 12 asr_decode "Recognise the test sets" after filter,lm_train,ngram,asr_train -- \
  $decode_cmd --gpu $gpu JOB=1:$nj "$decoded/logs/decode.JOB.log" \
  $bin.asr_decode --job JOB/$nj --device $device --config $inference_config --model_dir "$asr_exp" \
  --model $inference_model $lm_opts $ngram_opt --output_dir "$decoded" dump/raw $test_sets

run_stage 13 asr_score "Score what was recognised" after asr_decode -- \
  $bin.score_asr --hyp "$decoded" --ref dump/raw --tokens $tokens $score_opts $test_sets

# shellcheck source=egs2/TEMPLATE/asr1/after.sh
. "$ROOT/egs2/TEMPLATE/asr1/after.sh"
