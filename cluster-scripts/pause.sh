#!/usr/bin/env bash
# pause.sh ID|leader [--dir DIR]
#
# Stops a node with SIGSTOP, as a machine that hangs would, and prints its id alone. `leader` waits up to 10 s for one.
# resume.sh continues it.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

parse_node_and_dir "$@"
open_cluster
resolve_node
signal_node STOP "$TARGET_ID" || fail "node $TARGET_ID does not run"
printf '%s\n' "$TARGET_ID"
