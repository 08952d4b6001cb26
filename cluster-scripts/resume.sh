#!/usr/bin/env bash
# resume.sh ID|leader [--dir DIR]
#
# Lets a paused member go on with SIGCONT and prints its id alone; one that was not paused is a success. `leader` is the
# leader of now: never a paused member, so name a paused one by its number.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

parse_member_and_dir "$@"
open_cluster
resolve_member
signal_member CONT "$TARGET_ID" || fail "member $TARGET_ID does not run"
printf '%s\n' "$TARGET_ID"
