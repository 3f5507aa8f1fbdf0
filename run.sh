#!/usr/bin/env bash
# Train and test speech recognition and synthesis; everything needed is set up on the first run.
#
#   ./run.sh                              the small end-to-end run on a CPU (egs2/mini)
#   ./run.sh --recipe an4/asr1 [options]  another recipe
#   ./run.sh --list                       the recipes, what they need and how they score
#   ./run.sh --recipe an4/asr1 --help     the options and stages of a recipe
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=path.sh
command -v python3 > /dev/null || . "$ROOT/path.sh"

# answers with `recipe=...; set -- the other options`, or with the table or help and `exit`
recipe=
eval "$(python3 -S -E "$ROOT/tools/recipes.py" "$ROOT" "$0" "$@" || echo 'exit 2')"
exec "$ROOT/egs2/$recipe/run.sh" "$@"
