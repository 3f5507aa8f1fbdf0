# Sourced by a template (egs2/TEMPLATE/*): options, --help, and stages that resume.
# Needs ROOT, the repository (path.sh sets it), and the recipe's own directory as the current one.
# shellcheck shell=bash
set -euo pipefail

## Which stages run
stage=         # first stage, by number or name; it and all later ones run even when up to date
stop_stage=    # last stage, by number or name
skip_stages=   # stages to leave out, for example "6 7 8"
dry_run=false  # print the commands instead of running them

# A template declares its options with plain assignments, which would overwrite what the recipe has
# set; so the recipe's values are kept here and put back by parse_options.
_recipe=$PWD/${0##*/}
_template=${BASH_SOURCE[1]}
[ "$_template" = "$0" ] && _template=$_recipe
_names=$(sed -nE 's/^([a-z][a-z0-9_]*)=.*/\1/p' "$_recipe")
# shellcheck disable=SC2086  # one name a word
_kept=$([ -z "$_names" ] || declare -p $_names 2>/dev/null | sed -E 's/^declare -([a-zA-Z]*)-?/declare -g\1/' || true)
_would_run=''
_again=''

# parse_options "$@": the template's options, then the recipe's, then the command line's.
parse_options() {
  eval "$_kept"
  eval "$(_tool options.py "$_recipe" "$_template" "${RUN_AS:-$0}" "$@" || echo 'exit 2')"
}

# run_stage NUMBER NAME "TITLE" [after NAME,NAME] -- COMMAND...: run it unless it is up to date.
run_stage() {
  local status=0
  _tool stage.py "first=$stage" "last=$stop_stage" "skip=$skip_stages" "dry=$dry_run" \
    "would_run=$_would_run" "again=$_again" -- "$@" || status=$?
  case $status in
    0) ;;
    100) _would_run+=" $2" ;;  # a dry run: what depends on this one would run, too
    *) exit "$status" ;;
  esac
}

_tool() { python3 -S -E "$ROOT/tools/$1" "${@:2}"; }  # no site-packages: starts in 30 ms
