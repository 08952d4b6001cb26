#!/usr/bin/env bash
# remove.sh ID [--dir DIR]
#
# Removes a node from the cluster in DIR (./data/local unless given), running or dead, stops its process, and prints its id
# alone. Its number is never used again. cluster.json follows; the data directory is kept, and where it is is said. One that
# was removed already is a success.
#
# Example: cluster-scripts/remove.sh 4 --dir /tmp/shop
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# How long a node that was removed may take to end by itself, in seconds.
LEAVE_SECONDS=10

parse_node_and_dir "$@"
[[ $TARGET_ID != leader ]] || wrong_usage "remove.sh takes a number (etebar cluster status shows who leads)"
open_cluster
build_programs
lock_cluster
read_cluster # a script that held the lock may have changed it
# The others are asked: the one that goes may be dead, or end before it answers.
SAID=$(client_without "$TARGET_ID" members remove "$TARGET_ID" 2>&1) || fail "node $TARGET_ID was not removed: $SAID"
if [[ -v API[$TARGET_ID] ]]; then
  if ! wait_gone "$TARGET_ID" "$LEAVE_SECONDS"; then stop_nodes "$TARGET_ID"; fi
  if pid=$(running_pid "$TARGET_ID"); then fail "node $TARGET_ID was removed, but process $pid still runs: end it"; fi
  # An addition of it that was interrupted is over.
  if [[ -f $DIR/.adding && $(<"$DIR/.adding") == "${API[$TARGET_ID]#http://} ${PEER[$TARGET_ID]}" ]]; then rm -f "$DIR/.adding"; fi
  REST=()
  for id in "${IDS[@]}"; do [[ $id == "$TARGET_ID" ]] || REST+=("$id"); done
  IDS=("${REST[@]}")
  write_cluster
  say "node $TARGET_ID is removed; its data stays in ${DATA[$TARGET_ID]}, and is of no further use to the cluster"
fi
printf '%s\n' "$TARGET_ID"
