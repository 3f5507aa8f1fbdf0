#!/usr/bin/env bash
# Stage 1: AN4 -> data/{train,dev,test}, and data/test_extra where AN4_TEST names a further directory of AN4's kind.
# local/db.sh or the environment says where the corpus lies (AN4); in downloads/ it is fetched from CMU if missing.
set -euo pipefail
. ../../../path.sh
. "$ROOT/local/db.sh"
fetch=
if [ "$AN4" = downloads ]; then fetch=--download; fi
# shellcheck disable=SC2086  # no word if there is nothing to fetch
exec python -m espnet_ext.bin.prepare_corpus an4 "$AN4" data $fetch --test_extra "${AN4_TEST:-}" "$@"
