#!/usr/bin/env bash
# Stage 1: AN4 -> data/{train,dev,test}, and data/test_extra where AN4_TEST names a further directory of AN4's kind.
# AN4 (local/db.sh or the environment) says where the corpus lies; unset, it is fetched from CMU.
set -euo pipefail
. ../../../path.sh
[ ! -f ../../../local/db.sh ] || . ../../../local/db.sh
exec python -m espnet_ext.bin.prepare_corpus an4 "${AN4:-downloads/an4}" data \
  $([ -n "${AN4:-}" ] || echo --download) --test_extra "${AN4_TEST:-}" "$@"
