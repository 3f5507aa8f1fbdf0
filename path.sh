# Sourced by every script, from anywhere: `. ../../../path.sh`. Says where the repository is (ROOT) and makes its
# environment the one in use, building it first if it is missing or its lists have changed.
# Sets no shell options, so that it may be sourced at a prompt too.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")" && pwd -P)
export ROOT

# Builds on the first use (minutes); else a few milliseconds. Standard output stays the caller's own.
if ! "$ROOT/tools/setup.sh" --ready && ! "$ROOT/tools/setup.sh" >&2; then
  echo "path.sh: the environment could not be built; see above" >&2
  # shellcheck disable=SC2317  # reached when this file is run instead of sourced
  return 1 2>/dev/null || exit 1
fi

case ":${PYTHONPATH-}:" in
  *":$ROOT:"*) ;;
  *) export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" ;;
esac
case ":$PATH:" in
  *:/usr/lib/sctk/bin:*) ;;
  *) PATH=/usr/lib/sctk/bin:$PATH ;;  # where Debian keeps sclite
esac
case "$PATH" in
  "$ROOT/.venv/bin:"*) ;;
  *) export PATH="$ROOT/.venv/bin:$PATH" ;;  # first, also where another environment was activated since
esac

export LC_ALL=C            # Kaldi's sorting order, for sort and for bash
export PYTHONUTF8=1        # text is UTF-8 all the same
export PYTHONIOENCODING=UTF-8
# Not nproc: it does not know how many cores a container's quota allows.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$("$ROOT/.venv/bin/python" -S -I "$ROOT/espnet_ext/machine.py")}"
# A thread that waits sleeps: with busy waiting, two jobs that share the cores are ten times slower, not twice.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
export TOKENIZERS_PARALLELISM=false  # tokenizers' threads do not survive a fork
export HF_HUB_DISABLE_TELEMETRY=1

# pyopenjtalk would download its dictionary at the first use; Debian's is the same one.
if [ -z "${OPEN_JTALK_DICT_DIR-}" ] && [ -e /var/lib/mecab/dic/open-jtalk/naist-jdic/sys.dic ] &&
  ! compgen -G "$ROOT/.venv/lib/python3*/site-packages/pyopenjtalk/open_jtalk_dic*" >/dev/null; then
  export OPEN_JTALK_DICT_DIR=/var/lib/mecab/dic/open-jtalk/naist-jdic
fi

# A corpus' path in the environment counts from where the person stands, whatever directory a recipe goes to.
# shellcheck disable=SC2013  # names hold no spaces
for _corpus in $(sed -n 's/^\([A-Z0-9_]*\)=.*/\1/p' "$ROOT/local/db.sh" 2>/dev/null); do
  if [ -n "${!_corpus-}" ] && [ -e "${!_corpus}" ]; then export "$_corpus=$(realpath "${!_corpus}")"; fi
done
unset -v _corpus
