#!/usr/bin/env bash
# Stage 1: the voice of mini/tts1, as its own stage 1 makes it (what it has rendered is taken over).
set -euo pipefail
# shellcheck source=path.sh
. ../../../path.sh
if [ -d ../tts1/downloads/LJSpeech-1.1 ] && [ ! -e "$1" ]; then
  mkdir -p "$1" && cp -r ../tts1/downloads/. "$1"
fi
exec ../tts1/local/data.sh "$@"
