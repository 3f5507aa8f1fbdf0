# Sourced by a template (egs2/TEMPLATE/*): options, --help, and stages that resume.
# Needs ROOT, the repository (path.sh sets it), and the recipe's own directory as the current one.
# shellcheck shell=bash
set -euo pipefail

## Which stages run
stage=         # first stage, by number or name; it and all later ones run even when up to date
stop_stage=    # last stage, by number or name; the order is that in which they are listed
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
_seen=''
_order=''
_at=0
declare -A _place=()
_waiting=()

# parse_options "$@": the template's options, then the recipe's, then the command line's.
parse_options() {
  eval "$_kept"
  eval "$(_tool options.py "$_recipe" "$_template" "${RUN_AS:-$0}" "$@" || echo 'exit 2')"
}

# _selected NUMBER: whether a stage stands between --stage and --stop_stage. Its place in the template counts, since
# optional stages have high numbers wherever they stand; one without a place stands where the one before it does.
_selected() {
  _at=${_place[$1]:-$_at}
  [ "$_at" -ge "${_place[${stage:--}]:-0}" ] && [ "$_at" -le "${_place[${stop_stage:--}]:-$_at}" ]
}

# run_stage NUMBER NAME "TITLE" [after NAME,NAME] [makes "PATH PATH"] [reads PATH] -- COMMAND...: run it unless it is up
# to date. Without what it makes it is not; what it `reads` counts, too: a file, or every file of a directory.
run_stage() {
  local status=0 selected=false
  if _selected "$1"; then selected=true; fi
  _tool stage.py "first=$stage" "selected=$selected" "skip=$skip_stages" "dry=$dry_run" "order=$_order" \
    "would_run=$_would_run" "seen=$_seen" "again=$_again" -- "$@" || status=$?
  _seen+=" $2"
  case $status in
    0) ;;
    100) _would_run+=" $2" ;;  # a dry run: what depends on this one would run, too
    *) exit "$status" ;;
  esac
}

# run_recipe NUMBER NAME "TITLE" -- DIRECTORY [--option value]...: a stage that is a whole recipe. It is entered
# every time, because its own stages know what is up to date. Recipes declared in a row run at once, at wait_recipes.
run_recipe() {
  local number=$1 name=$2 title=$3 directory=$5 seen
  _selected "$number" || return 0
  case " $skip_stages " in *" $number "*) echo "== stage $number $name: left out (--skip_stages)"; return ;; esac
  echo "== stage $number $name: $title  [$directory]"
  local command=("$ROOT/$directory/run.sh" "${@:6}") again="$ROOT/run.sh --recipe ${directory#egs2/}"
  if $dry_run; then
    seen=$(RUN_AS=$again "${command[@]}" --dry_run true)
    printf '%s\n' "$seen"
    case $seen in *'[would run'*) _would_run+=" $name" ;; esac
    return
  fi
  _waiting+=(${_waiting[0]+';;'} "$number" "$name" "$directory" "$again" "${command[@]}")
}

wait_recipes() {
  [ ${#_waiting[@]} = 0 ] || _tool together.py "${_waiting[@]}" || { local status=$?; echo "   or: $_again" >&2; exit "$status"; }
  _waiting=()
}

# under DIRECTORY NAME...: DIRECTORY/NAME DIRECTORY/NAME...
under() { printf "$1/%s " "${@:2}"; }

_tool() { python3 -S -E "$ROOT/tools/$1" "${@:2}"; }  # no site-packages: starts in 30 ms
