#!/usr/bin/env bash
# Score another directory of AN4's kind with the trained recogniser; nothing is trained.
# local/score_more.sh AN4_TEST TOKENS DECODE_DIR asr_decode-options...
set -euo pipefail
# shellcheck source=path.sh
. ../../../path.sh
more=$1 tokens=$2 decoded=$3
python -m espnet_ext.bin.prepare_corpus an4 "$more" data/more --as_test more
python -m espnet_ext.bin.format_audio --fs 16000 data/more dump/more more
python -m espnet_ext.bin.asr_decode "${@:4}" --output_dir "$decoded" dump/more more
python -m espnet_ext.bin.score_asr --hyp "$decoded" --ref dump/more --tokens "$tokens" more
