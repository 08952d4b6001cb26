#!/usr/bin/env bash
# resume.sh ID|leader [--dir DIR]
#
# Continues a paused node with SIGCONT and prints its id alone; one that was not paused is a success. `leader` is the
# leader of now: never a paused node, so name a paused one by its number.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

parse_node_and_dir "$@"
open_cluster
resolve_node
signal_node CONT "$TARGET_ID" || fail "node $TARGET_ID does not run"
printf '%s\n' "$TARGET_ID"
