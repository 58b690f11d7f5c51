#!/bin/bash
# A container runtime for machines whose capability bounding set lacks CAP_SYS_RESOURCE. runc refuses to grant a capability
# that it does not hold, and Docker always asks for it in privileged containers. This takes it, with the raised limits and
# lowered out-of-memory scores that need it, out of what Docker asks for: on create (the bundle's config.json) and on exec
# (the process file).
set -euo pipefail
arguments=("$@")
bundle=
process=
for ((i = 0; i < ${#arguments[@]}; i++)); do
  case "${arguments[i]}" in
    --bundle | -b) bundle=${arguments[i + 1]} ;;
    --process | -p) process=${arguments[i + 1]} ;;
  esac
done

without_sys_resource='
  (.capabilities // {}) |= with_entries(.value |= map(select(. != "CAP_SYS_RESOURCE")))
  | if (.oomScoreAdj // 0) < 0 then .oomScoreAdj = 0 else . end
  | del(.rlimits)'

rewrite() { # file, jq program
  local text
  text=$(jq "$2" "$1")
  printf '%s' "$text" >"$1"
}

[[ -f $bundle/config.json ]] && rewrite "$bundle/config.json" ".process |= ($without_sys_resource)"
[[ -f $process ]] && rewrite "$process" "$without_sys_resource"
exec runc "$@"
