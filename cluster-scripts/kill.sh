#!/usr/bin/env bash
# kill.sh ID|leader [--dir DIR]
#
# Kills a member with SIGKILL, as a crash would, and prints its id alone. A member that does not run is a success; `leader`
# waits up to 10 s for one. start.sh brings it back.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

parse_member_and_dir "$@"
open_cluster
resolve_member
signal_member KILL "$TARGET_ID" || true
wait_gone "$TARGET_ID" 5 || fail "member $TARGET_ID still runs 5 s after SIGKILL"
printf '%s\n' "$TARGET_ID"
