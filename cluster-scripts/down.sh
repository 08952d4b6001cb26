#!/usr/bin/env bash
# down.sh [--dir DIR] [--wipe]
#
# Stops every node of the cluster in DIR (./data/local unless given) in an orderly way and keeps the data; up.sh starts it
# again. With --wipe the nodes are killed and DIR is deleted, data, logs and keys.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

WIPE=
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) help ;;
    --dir) DIR=$(value_of "$1" "$@"); shift 2 ;;
    --wipe) WIPE=yes; shift ;;
    *) wrong_usage "unknown argument $1" ;;
  esac
done
open_cluster
lock_cluster
read_cluster # a script that held the lock may have started a node
if [[ -z $WIPE ]]; then
  stop_nodes "${IDS[@]}"
  say "stopped; the data stays in $DIR"
else
  for id in "${IDS[@]}"; do signal_node KILL "$id" || true; done
  for id in "${IDS[@]}"; do wait_gone "$id" 5 || fail "node $id cannot be killed; nothing was deleted"; done
  rm -rf "${DIR:?}"
  say "stopped and deleted $DIR"
fi
