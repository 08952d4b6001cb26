#!/usr/bin/env bash
# start.sh ID [--dir DIR]
#
# Starts a stopped or killed node again and prints its id alone; one that runs is a success. Returns when the node
# answers /livez, without waiting for the others; cluster.json has its new process number.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

parse_node_and_dir "$@"
[[ $TARGET_ID != leader ]] || wrong_usage "start.sh takes a number: a leader runs already"
open_cluster
known_node "$TARGET_ID"
build_programs
lock_cluster
read_cluster # a script that held the lock may have started a node
if pid=$(running_pid "$TARGET_ID"); then
  kill -s CONT "$pid"
  PID[$TARGET_ID]=$pid
else
  make_certificates
  launch "$TARGET_ID"
fi
write_cluster
unlock_cluster
wait_answer "$TARGET_ID" /livez || fail "node $TARGET_ID did not start (see ${LOG[$TARGET_ID]})"
printf '%s\n' "$TARGET_ID"
