#!/usr/bin/env bash
# Stage 1: render Mini-TTS (one synthetic voice, laid out as LJ Speech 1.1) and write data/{train,dev,eval1}.
# The first argument is where to render to; options go to the command; `prepare_corpus mini --help` lists them.
set -euo pipefail
# shellcheck source=path.sh
. ../../../path.sh
exec python -m espnet_ext.bin.prepare_corpus mini "$1" data --task tts "${@:2}"
