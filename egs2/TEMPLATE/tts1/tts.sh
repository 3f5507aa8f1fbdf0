# The stages of a speech synthesiser, sourced by egs2/<corpus>/tts1/run.sh, which sets the options.
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
test_sets="test"         # sets whose text is synthesised and scored
local_data_opts=         # options for local/data.sh
fs=22050                 # sampling rate in Hz
audio_format=flac        # flac, wav, flac.ark or wav.ark
format_opts=             # more options for format_audio: "--skip_broken", "--no_resample", "--ref_channels 0"
min_seconds=0.5          # utterances of train and valid that are shorter are left out
max_seconds=20           # and those that are longer
audit_opts=              # look through every formatted set with these options of audit_data, e.g. "--nj 4": stage 24, exp/audit/SET.html
filter_opts=             # more options for filter_data, by what format_audio measured: "--rule snr>=10 --rule clipped<=0.001"
use_sid=false            # number the speakers, for a model of several: tts_conf's spks, 1 more than there are
use_lid=false            # number the languages that utt2lang says, for tts_conf's langs, 1 more than there are; stage 26
use_spembs=false         # embed the voices (package resemblyzer), for one with tts_conf's spk_embed_dim: 256; stage 25

## Tokens
token_type=phn           # phn, char or bpe: sub-words, with token_opts="--nbpe 500"
g2p=espeak_ng_english_us_vits  # how letters become phonemes, for token_type=phn
cleaner=tacotron         # how text is cleaned before: none, tacotron, normalize or spoken
token_opts=              # more options for train_tokens

## Synthesiser
tts_task=tts             # tts (text to mel) or gan_tts (text to waveform: VITS, JETS)
tts_config=conf/train_tts.yaml  # model and training
tts_tag=                 # name of exp/tts_TAG; made from tts_config and the tokens when empty
tts_args=                # more options for tts_train, for example "--set max_epoch=5"

## Synthesis
inference_config=conf/decode_tts.yaml  # speed, vocoder and so on
inference_model=valid.loss.ave.pth     # which checkpoint
inference_tag=           # name of the synthesis' directory; made from inference_config when empty
vocoder=                 # a trained vocoder, e.g. ../voc1/exp/voc_train_vocos; Griffin-Lim when empty; packed with the model
score_opts=              # more options for score_tts, e.g. "--asr ../asr1/exp/asr_x --dnsmos installed"

## Jobs
nj=4                     # parallel jobs for data and synthesis
gpu=0                    # GPUs for training and for each synthesis job; 0 = CPU
nproc=                   # processes that train together, with a GPU or a core each; as many as GPUs when empty

## Publishing
licence=                 # under which others may use the packed model, e.g. cc-by-4.0
skip_upload=true         # do not upload the packed model
hf_repo=                 # where to, for example my-name/my-model
parse_options "$@"

bin="python -m espnet_ext.bin"
device=cpu
if [ "$gpu" -gt 0 ]; then device=cuda; fi
train_opts="--device $device$([ "${nproc:-$gpu}" -lt 2 ] || echo " --nproc ${nproc:-$gpu}")"
logs=exp/logs
tokens=data/token_list/$token_type
if [ "$token_type" = phn ]; then tokens+=_${g2p}_$cleaner; else tokens+=_$cleaner; fi
tts_exp=exp/tts_${tts_tag:-$(basename "$tts_config" .yaml)_${tokens##*/}}
tts_stats=exp/tts_stats_${tokens##*/}
# what --set says of features, pitch and energy, which the statistics are made of
extraction=$(printf '%s\n' $tts_args | sed 's/^--set=//' | grep -E '^(tts|odim|(feats|pitch|energy)_extract(_conf)?)[.=]' | tr '\n' ' ' || true)
made=$tts_exp/${inference_tag:-$(basename "$inference_config" .yaml)}
packed=$tts_exp/${tts_exp##*/}.zip

sets=$(printf '%s\n' $train_set $valid_set $test_sets | awk '!seen[$0]++')  # each once: dev may be a test set too

run_stage 1 data "Prepare the corpus as Kaldi data directories" \
  makes "$(under data $train_set $valid_set $test_sets)" -- \
  local/data.sh "$corpus" $local_data_opts

run_stage 2 format "Write audio in one form" after data \
  makes "$(under dump/raw/org $sets)" -- \
  $train_cmd JOB=1:$nj $logs/format.JOB.log \
  $bin.format_audio --job JOB/$nj --fs $fs --audio_format $audio_format $format_opts \
  data dump/raw/org $sets

if $use_sid; then
  run_stage 3 speaker_ids "Number the speakers" after format -- \
    $bin.speaker_ids --train $train_set dump/raw/org $sets
fi
if $use_lid; then
  run_stage 26 language_ids "Number the languages" after format -- \
    $bin.speaker_ids --languages --train $train_set dump/raw/org $sets
fi
if $use_spembs; then
  run_stage 25 speaker_vectors "Embed the voices" after format \
    makes "$(printf 'dump/raw/org/%s/xvector.scp ' $sets)" -- \
    $train_cmd --gpu $gpu $logs/speaker_vectors.log \
    $bin.speaker_vectors --device $device dump/raw/org $sets
fi
# shellcheck source=egs2/TEMPLATE/tts1/audit.sh
. "$ROOT/egs2/TEMPLATE/tts1/audit.sh"

run_stage 4 filter "Leave out utterances that are too short, too long or empty" after format,speaker_ids,language_ids,speaker_vectors \
  makes "$(under dump/raw $sets)" -- \
  $bin.filter_data --min_seconds $min_seconds --max_seconds $max_seconds $filter_opts --keep "$test_sets" \
  dump/raw/org dump/raw $sets

run_stage 5 tokens "Make the token list" after filter -- \
  $bin.train_tokens --token_type $token_type --g2p $g2p --cleaner $cleaner $token_opts \
  --text "dump/raw/$train_set/text" --out $tokens

run_stage 6 tts_stats "Collect mean and variance of features and pitch" after filter,tokens -- \
  $train_cmd $logs/tts_stats.log \
  $bin.collect_stats --task $tts_task --config $tts_config --tokens $tokens \
  --train "dump/raw/$train_set" --valid "dump/raw/$valid_set" --output_dir $tts_stats ${extraction:+--set $extraction}

run_stage 7 tts_train "Train the synthesiser" after tokens,tts_stats -- \
  $train_cmd --gpu $gpu "$tts_exp/train.log" \
  $bin.${tts_task}_train $train_opts --config $tts_config --tokens $tokens --stats_dir $tts_stats \
  --train "dump/raw/$train_set" --valid "dump/raw/$valid_set" --output_dir "$tts_exp" $tts_args

run_stage 8 tts_synthesize "Speak the test sets' text" after filter,tts_train -- \
  $decode_cmd --gpu $gpu JOB=1:$nj "$made/logs/synthesize.JOB.log" \
  $bin.tts_synthesize --job JOB/$nj --device $device --task $tts_task --config $inference_config \
  --model_dir "$tts_exp" --model $inference_model ${vocoder:+--vocoder "$vocoder"} --output_dir "$made" \
  dump/raw $test_sets

run_stage 9 tts_score "Score what was spoken" after tts_synthesize -- \
  $train_cmd "$made/logs/score.log" \
  $bin.score_tts --nj $nj --hyp "$made" --ref dump/raw --model_dir "$tts_exp" ${vocoder:+--vocoder "$vocoder"} \
  $score_opts $test_sets

run_stage 10 pack "Pack the model as a zip that ESPnet reads" after tts_train,tts_score -- \
  $bin.pack --task tts --model_dir "$tts_exp" --model $inference_model ${vocoder:+--vocoder_dir "$vocoder"} \
  ${licence:+--licence "$licence"} --output "$packed"

if ! $skip_upload; then
  run_stage 11 upload "Upload the packed model" after pack -- \
    $bin.upload --repo "$hf_repo" "$packed"
fi
