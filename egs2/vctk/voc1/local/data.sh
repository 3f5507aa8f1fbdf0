#!/usr/bin/env bash
# Stage 1: as that of tts1; what it has fetched is taken over.
set -euo pipefail
# shellcheck source=path.sh
. ../../../path.sh
if [ -d ../tts1/downloads ] && [ ! -e downloads ]; then ln -s ../tts1/downloads downloads; fi
exec ../tts1/local/data.sh "$@"
