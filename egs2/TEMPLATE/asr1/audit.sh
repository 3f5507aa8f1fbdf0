# Every formatted set is looked through, where that is asked for; sourced by the template.
# shellcheck shell=bash
# shellcheck disable=SC2046,SC2086,SC2154  # options hold several words, and the template sets them
if [ -n "$audit_opts" ]; then
  run_stage 24 audit "Look through the data" after format \
    makes "$(printf 'exp/audit/%s.html ' $sets)" -- \
    $bin.audit_data --pages exp/audit $audit_opts $(under dump/raw/org $sets)
fi
