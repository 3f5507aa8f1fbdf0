# The stages of a vocoder, sourced by egs2/<corpus>/voc1/run.sh, which sets the options.
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
test_sets="test"         # sets that are spoken again and scored
local_data_opts=         # options for local/data.sh
fs=22050                 # sampling rate in Hz
audio_format=flac        # flac, wav, flac.ark or wav.ark
format_opts=             # more options for format_audio: "--skip_broken", "--no_resample", "--ref_channels 0"

## Vocoder
voc_config=conf/train_hifigan.yaml  # model and training; its feats_extract_conf is the synthesiser's
voc_tag=                 # name of exp/voc_TAG; made from voc_config when empty
voc_args=                # more options for vocoder_train, for example "--set max_epoch=5"
acoustic=                # go on with the spectrograms of this acoustic model, e.g. ../tts1/exp/tts_x: stage 23 writes them
acoustic_model=valid.loss.ave.pth   # its checkpoint
acoustic_data=../tts1/dump/raw      # its data, with sets of the same names
inference_model=valid.mel.best.pth  # which checkpoint
griffin_lim=60           # iterations of Griffin-Lim, which is scored beside the vocoder; 0 = leave it out
score_opts=              # more options for score_vocoder
asr=                     # a recogniser that hears the first test set, made again and recorded, e.g. ../asr1: stage 22
asr_opts=                # more options for round_trip, for example "--fs 16000"

## Jobs
nj=4                     # parallel jobs for data and copy-synthesis
gpu=0                    # GPUs for training and for each synthesis job; 0 = CPU
nproc=                   # processes that train together, with a GPU or a core each; as many as GPUs when empty

## Publishing
licence=                 # under which others may use the packed vocoder, e.g. cc-by-4.0
parse_options "$@"

bin="python -m espnet_ext.bin"
device=cpu
if [ "$gpu" -gt 0 ]; then device=cuda; fi
train_opts="--device $device$([ "${nproc:-$gpu}" -lt 2 ] || echo " --nproc ${nproc:-$gpu}")"
logs=exp/logs
voc_exp=exp/voc_${voc_tag:-$(basename "$voc_config" .yaml)}
voc_stats=exp/voc_stats_${voc_exp#exp/voc_}
made=$voc_exp/copy_synthesis
packed=$voc_exp/${voc_exp##*/}.zip

sets=$(printf '%s\n' $train_set $valid_set $test_sets | awk '!seen[$0]++')  # each once: dev may be a test set too

run_stage 1 data "Prepare the corpus as Kaldi data directories" \
  makes "$(under data $train_set $valid_set $test_sets)" -- \
  local/data.sh "$corpus" $local_data_opts

run_stage 2 format "Write audio in one form" after data \
  makes "$(under dump/raw $sets)" -- \
  $train_cmd JOB=1:$nj $logs/format.JOB.log \
  $bin.format_audio --job JOB/$nj --fs $fs --audio_format $audio_format $format_opts \
  data dump/raw $sets

run_stage 3 voc_stats "Collect mean and variance of the spectrograms" after format -- \
  $train_cmd $logs/voc_stats.log \
  $bin.vocoder_stats --config $voc_config --train "dump/raw/$train_set" --output_dir $voc_stats

if [ -n "$acoustic" ]; then
  # a folder for each acoustic model, so that those of another one are never taken for its own
  forced=exp/teacher_forced/$(basename "$acoustic")/$(basename "$acoustic_model" .pth)
  voc_args+=" --set mels=$forced"
  run_stage 23 teacher_forced "Spectrograms of the acoustic model, with the recordings' timing" after format \
    makes "$(printf "$forced/%s/mels.scp " $train_set $valid_set)" reads "$acoustic/$acoustic_model" -- \
    $decode_cmd --gpu $gpu JOB=1:$nj "$logs/teacher_forced.JOB.log" \
    $bin.tts_synthesize --teacher_forced --job JOB/$nj --device $device --model_dir "$acoustic" \
    --model $acoustic_model --output_dir "$forced" "$acoustic_data" $train_set $valid_set
fi

run_stage 4 voc_train "Train the vocoder" after voc_stats,teacher_forced -- \
  $train_cmd --gpu $gpu "$voc_exp/train.log" \
  $bin.vocoder_train $train_opts --config $voc_config --stats_dir $voc_stats \
  --train "dump/raw/$train_set" --valid "dump/raw/$valid_set" --output_dir "$voc_exp" $voc_args

run_stage 5 voc_copy "Speak the test sets' recordings again" after format,voc_train -- \
  $decode_cmd --gpu $gpu JOB=1:$nj "$made/logs/vocode.JOB.log" \
  $bin.vocode --job JOB/$nj --device $device --model_dir "$voc_exp" --model $inference_model \
  --griffin_lim $griffin_lim --output_dir "$made" dump/raw $test_sets

run_stage 6 voc_score "Score what was spoken" after voc_copy -- \
  $train_cmd "$made/logs/score.log" \
  $bin.score_vocoder --nj $nj --hyp "$made" --ref dump/raw $score_opts $test_sets

if [ -n "$asr" ]; then
  run_stage 22 voc_round_trip "Let a recogniser hear it, and the recordings" after voc_copy -- \
    $train_cmd "$voc_exp/round_trip/round_trip.log" \
    $bin.round_trip --asr "$asr" --voc ".:${voc_exp#exp/}:copy_synthesis" --set "${test_sets%% *}" --recordings \
    --device $device $asr_opts --output "$voc_exp/round_trip"
fi

run_stage 7 pack "Pack the vocoder as a zip" after voc_train,voc_score -- \
  $bin.pack --task vocoder --model_dir "$voc_exp" --model $inference_model \
  ${licence:+--licence "$licence"} --output "$packed"
