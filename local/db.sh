# Where each corpus lies on this site. `downloads` is below the recipe's directory, and what is missing there is
# downloaded if its licence allows. A variable of the environment wins: LIBRISPEECH=/data/LibriSpeech ./run.sh
# shellcheck shell=bash disable=SC2034  # read by the recipes' local/data.sh

AN4_TEST=${AN4_TEST:-}                 # another directory of AN4's kind, to be scored with the trained recogniser
AN4=${AN4:-downloads}                  # the directory that holds an4/ (64 MB, downloaded)
NOISE=${NOISE:-}                       # folder of noise recordings, such as MUSAN's noise/ (for an4_6ch)
LIBRISPEECH=${LIBRISPEECH:-downloads}  # holds LibriSpeech/{train-clean-100,dev-clean,...} (60 GB, downloaded)
LIBRITTS=${LIBRITTS:-downloads}        # holds LibriTTS/ or LibriTTS_R/ {train-clean-100,...} (40 GB, downloaded)
LJSPEECH=${LJSPEECH:-downloads}        # holds LJSpeech-1.1/ (2.6 GB, downloaded)
JSUT=${JSUT:-downloads}                # holds jsut_ver1.1/ (2.7 GB, downloaded)
VCTK=${VCTK:-downloads}                # holds VCTK-Corpus/ (0.80) or VCTK-Corpus-0.92/ (11 GB, downloaded)
COMMONVOICE=${COMMONVOICE:-}           # holds cv-corpus-<release>/<language>/ (from its site after logging in)
CHIME4=${CHIME4:-}                     # CHiME3/ of the CHiME-4 challenge (licensed; no download)
WSJ0=${WSJ0:-}                         # LDC93S6A or LDC93S6B (licensed; CHiME-4's text and clean speech)
WSJ1=${WSJ1:-}                         # LDC94S13A or LDC94S13B (licensed)
