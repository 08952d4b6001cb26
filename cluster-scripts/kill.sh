#!/usr/bin/env bash
# kill.sh ID|leader [--dir DIR]
#
# Kills a node with SIGKILL, as a crash would, and prints its id alone. A node that does not run is a success; `leader`
# waits up to 10 s for one. start.sh brings it back.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

parse_node_and_dir "$@"
open_cluster
resolve_node
signal_node KILL "$TARGET_ID" || true
wait_gone "$TARGET_ID" 5 || fail "node $TARGET_ID still runs 5 s after SIGKILL"
printf '%s\n' "$TARGET_ID"
