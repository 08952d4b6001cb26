#!/usr/bin/env bash
# status.sh [--dir DIR]
#
# Prints a line a node: role, term, applied, lag behind the leader, and the digest of everything decided. The digests are
# taken at one position, the lowest that a running node has applied (`at`), so that equal nodes show equal digests.
# A node that does not run is `down`, one that is stopped by SIGSTOP `paused`, one that does not answer `unreachable`.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) help ;;
    --dir) DIR=$(value_of "$1" "$@"); shift 2 ;;
    *) wrong_usage "unknown argument $1" ;;
  esac
done
open_cluster

declare -A ROLE=() TERM_OF=() APPLIED=()
AT='' TOP=0
for id in "${IDS[@]}"; do
  ROLE[$id]=down TERM_OF[$id]=- APPLIED[$id]=-
  pid=$(running_pid "$id") || continue
  if is_paused "$pid"; then ROLE[$id]=paused; continue; fi
  if ! text=$(http_get "${API[$id]}" '/v1/cluster?consistency=local' "$ADMIN_KEY"); then ROLE[$id]=unreachable; continue; fi
  ROLE[$id]=follower
  [[ $(field leader "$text") != "$id" ]] || ROLE[$id]=leader
  TERM_OF[$id]=$(field term "$text")
  APPLIED[$id]=$(field applied "${text##*]}") # the node's own, behind the list of nodes
  if [[ -z $AT ]] || ((APPLIED[$id] < AT)); then AT=${APPLIED[$id]}; fi
  if ((APPLIED[$id] > TOP)); then TOP=${APPLIED[$id]}; fi
done

printf '%-7s %-11s %6s %10s %6s  %s\n' node role term applied lag "digest${AT:+ at $AT}"
for id in "${IDS[@]}"; do
  lag=- digest=-
  if [[ ${APPLIED[$id]} != - ]]; then
    lag=$((TOP - APPLIED[$id]))
    if text=$(http_get "${API[$id]}" "/v1/cluster/digest?applied=$AT" "$ADMIN_KEY"); then digest=$(field digest "$text"); fi
  fi
  printf '%-7s %-11s %6s %10s %6s  %s\n' "$id" "${ROLE[$id]}" "${TERM_OF[$id]}" "${APPLIED[$id]}" "$lag" "$digest"
done
