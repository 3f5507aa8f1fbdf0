#!/usr/bin/env bash
# Stage 1: render Mini-ASR (synthetic voices, laid out as LibriSpeech) and write data/{train,dev,test}.
# The first argument is where to render to; options go to the command; `prepare_corpus mini --help` lists them.
set -euo pipefail
# shellcheck source=path.sh
. ../../../path.sh
exec python -m espnet_ext.bin.prepare_corpus mini "$1" data --task asr "${@:2}"
