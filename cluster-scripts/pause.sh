#!/usr/bin/env bash
# pause.sh ID|leader [--dir DIR]
#
# Stops a member with SIGSTOP, as a machine that hangs would, and prints its id alone. `leader` waits up to 10 s for one.
# resume.sh lets it go on.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

parse_member_and_dir "$@"
open_cluster
resolve_member
signal_member STOP "$TARGET_ID" || fail "member $TARGET_ID does not run"
printf '%s\n' "$TARGET_ID"
