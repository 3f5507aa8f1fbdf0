#!/usr/bin/env bash
# CHiME-4: WSJ sentences read in noisy places, 1, 2 and 6 microphones; E-Branchformer on characters, Transformer LM.
#: task=ASR hours=190 needs="CHIME4=<LDC2017S24> WSJ0=<LDC93S6B> WSJ1=<LDC94S13B> (licensed); a GPU"
. "$(dirname "${BASH_SOURCE[0]}")/../../../path.sh"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. "$ROOT/local/db.sh"

corpus=$CHIME4:$WSJ0:$WSJ1
train_set=tr05_multi_noisy_si284
valid_set=dt05_multi_isolated_1ch_track
test_sets="dt05_real_isolated_1ch_track dt05_simu_isolated_1ch_track"
test_sets+=" et05_real_isolated_1ch_track et05_simu_isolated_1ch_track"
test_sets+=" dt05_real_beamform_2mics dt05_simu_beamform_2mics et05_real_beamform_2mics et05_simu_beamform_2mics"
test_sets+=" dt05_real_beamform_5mics dt05_simu_beamform_5mics et05_real_beamform_5mics et05_simu_beamform_5mics"
speed_perturb_factors="0.9 1.0 1.1"
max_seconds=30
token_type=char
token_opts="--nlsyms data/nlsyms.txt"
score_opts="--nlsyms data/nlsyms.txt"   # noises do not count, as in the figures to compare with
lm_train_text=data/local/lm_text/text   # WSJ's newspaper text of 1987-89 besides the transcripts
nj=16
gpu=1
. "$ROOT/egs2/TEMPLATE/asr1/asr.sh"
