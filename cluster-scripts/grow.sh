#!/usr/bin/env bash
# grow.sh [--charges 5000000] [--step N] [--sellers 10000] [--phones 1000000] [--seconds 3] [--key-window 10s]
#         [--port 27500] [--out DIR]
#
# What a ledger costs as it grows: fills a cluster of its own, three nodes in a temporary folder, with batches of
# `etebar bench`, and measures it when it is empty, at 1, 5 and 10 million charges and at every 10 million from there on, or
# after each N charges where --step is given. At each size: charges a second, singly and in batches, each for so many
# seconds; the memory of the largest node, once the idempotency keys' window is over; how long /v1/audit takes; what a
# charge takes on the disk of a node; how long a killed follower takes until it is ready, and three killed nodes until the
# next charge; how long a follower that lacks everything takes until it is ready; the 99th percentiles of pages of 100,
# of sellers' statements and of phones' charges. The cluster is killed and deleted at the end. --charges 5000000 takes
# about four minutes.
#
# DIR (./data) gets grow.md, the table, and grow.svg. Run it on an otherwise idle machine; it needs python3. Exit 0, 1 where
# something could not be measured, 2 for wrong usage.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# A node that lacks everything receives all of it first.
START_SECONDS=${ETEBAR_START_SECONDS:-600}

CHARGES=5000000 STEP='' SELLERS=10000 PHONES=1000000 LENGTH=3 WINDOW=10 PORT=27500 OUT=./data
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) help ;;
    --charges) CHARGES=$(value_of "$1" "$@"); shift 2 ;;
    --step) STEP=$(value_of "$1" "$@"); shift 2 ;;
    --sellers) SELLERS=$(value_of "$1" "$@"); shift 2 ;;
    --phones) PHONES=$(value_of "$1" "$@"); shift 2 ;;
    --seconds) LENGTH=$(value_of "$1" "$@"); shift 2 ;;
    --key-window) WINDOW=$(value_of "$1" "$@"); WINDOW=${WINDOW%s}; shift 2 ;;
    --port) PORT=$(value_of "$1" "$@"); shift 2 ;;
    --out) OUT=$(value_of "$1" "$@"); shift 2 ;;
    *) wrong_usage "unknown argument $1" ;;
  esac
done
[[ $CHARGES =~ ^[1-9][0-9]{3,9}$ ]] || wrong_usage "--charges is 1000 to 9999999999, not $CHARGES"
[[ -z $STEP || $STEP =~ ^[1-9][0-9]{3,9}$ ]] || wrong_usage "--step is 1000 to 9999999999, not $STEP"
[[ $SELLERS =~ ^[1-9][0-9]{0,4}$ ]] || wrong_usage "--sellers is 1 to 99999, not $SELLERS"
[[ $PHONES =~ ^[1-9][0-9]{0,6}$ ]] || wrong_usage "--phones is 1 to 9999999, not $PHONES"
[[ $LENGTH =~ ^[1-9][0-9]?$ ]] || wrong_usage "--seconds is 1 to 99, not $LENGTH"
[[ $WINDOW =~ ^[1-9][0-9]{0,3}$ ]] || wrong_usage "--key-window is 1s to 9999s, not ${WINDOW}s"
[[ $PORT =~ ^[1-9][0-9]{3,4}$ && $PORT -le 65000 ]] || wrong_usage "--port is 1000 to 65000, not $PORT"

# The sizes to measure at, in charges, one a line.
sizes() {
  local at
  if [[ -n $STEP ]]; then
    seq 0 "$STEP" "$CHARGES"
  else
    for at in 0 1000000 5000000 $(seq 10000000 10000000 "$CHARGES"); do ((at > CHARGES)) || echo "$at"; done
  fi
}

# ---- measurements ---------------------------------------------------------------------------------------------------

# bench ARGUMENTS...: prints the report as JSON. Exit 3 is a run whose books could not be checked.
bench() {
  local status=0
  "$CLIENT_PROGRAM" --json bench "$@" 2>"$WORK/bench.err" || status=$?
  ((status == 0 || status == 3)) || fail "etebar bench $*: exit $status: $(tail -n 1 "$WORK/bench.err")"
}

# rate ARGUMENTS...: charges a second of a run, as a whole number.
rate() {
  local text
  text=$(bench --seconds "$LENGTH" --warm-up 1 "$@")
  [[ $text =~ \"charges_per_second\":\ *([0-9]+) ]] || fail "no rate in the report of etebar bench $*"
  printf '%s' "${BASH_REMATCH[1]}"
}

# The newest entry of the ledger, which is that of a charge made to see it: an entry for each charge, and one for each credit,
# which are few.
entries() {
  local text
  # shellcheck disable=SC2031 # that subshell is start_load's, which is not called here
  text=$(ETEBAR_KEY=$SELLER_KEY "$CLIENT_PROGRAM" --json charge 09123456789 1 2>&1) || fail "a charge: $text"
  field entry "$text" || fail "the answer to a charge names no entry: $text"
}

# The memory of the largest node, in MB.
memory_mb() {
  local id pid kb most=0
  for id in "${IDS[@]}"; do
    pid=$(running_pid "$id") || fail "node $id is not running"
    kb=$(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status")
    if ((kb > most)); then most=$kb; fi
  done
  printf '%s' "$((most / 1024))"
}

# Milliseconds until an audit answers, for the position that it has come to; "-" where it gets no answer within 10 s. The time of
# the program itself is in it, some 10 ms.
audit_ms() {
  local began
  began=$(now_ms)
  if "$CLIENT_PROGRAM" --timeout 10s --json audit >/dev/null 2>&1; then printf '%s' "$(($(now_ms) - began))"; else printf -- '-'; fi
}

# Kilobytes of node 1's history and log on its disk.
disk_kb() { du -sk "${DATA[1]}" | cut -f 1; }

launch_all() {
  local id
  lock_cluster
  for id in "$@"; do launch "$id"; done
  write_cluster
  unlock_cluster
}

# Milliseconds from the kill of a follower until it is ready again.
follower_ready_ms() {
  local leader id began
  leader=$(leader_now) || fail 'the cluster has no leader'
  id=$((leader % 3 + 1))
  began=$(now_ms)
  signal_node KILL "$id" || fail "node $id is not running"
  launch_all "$id"
  wait_answer "$id" /readyz || fail "node $id did not become ready"
  printf '%s' "$(($(now_ms) - began))"
}

# Milliseconds from the kill of all nodes until a charge is accepted.
all_killed_ms() {
  local id began deadline=$((SECONDS + START_SECONDS))
  began=$(now_ms)
  for id in "${IDS[@]}"; do signal_node KILL "$id" || true; done
  launch_all "${IDS[@]}"
  until ETEBAR_KEY=$SELLER_KEY "$CLIENT_PROGRAM" --timeout 1s charge 09123456789 1 >/dev/null 2>&1; do
    ((SECONDS < deadline)) || fail "no charge within $START_SECONDS s of the start"
    sleep 0.02
  done
  printf '%s' "$(($(now_ms) - began))"
}

# Milliseconds until a follower that has nothing but its first records has caught up and is ready. Its data directory is a
# copy that was made when the ledger was empty: as good as a new disk, until nodes can be added. The leader is restarted
# meanwhile, since one that knows how far a follower's log went sends nothing to a log that became shorter.
catch_up_ms() {
  local leader id began
  leader=$(leader_now) || fail 'the cluster has no leader'
  id=$((leader % 3 + 1))
  signal_node KILL "$id" || fail "node $id is not running"
  rm -rf "${DATA[$id]:?}"
  cp -a "$WORK/empty-$id" "${DATA[$id]}"
  signal_node KILL "$leader" || fail "node $leader is not running"
  launch_all "$leader"
  wait_answer "$leader" /readyz || fail "node $leader did not become ready"
  began=$(now_ms)
  launch_all "$id"
  wait_answer "$id" /readyz || fail "node $id did not catch up"
  printf '%s' "$(($(now_ms) - began))"
}

# Stops all nodes, keeps copies of their data directories, and starts them again.
keep_empty() {
  local id
  for id in "${IDS[@]}"; do signal_node KILL "$id" || true; done
  for id in "${IDS[@]}"; do cp -a "${DATA[$id]}" "$WORK/empty-$id"; done
  launch_all "${IDS[@]}"
  read_cluster
  for id in "${IDS[@]}"; do wait_answer "$id" /readyz || fail "node $id did not become ready"; done
}

# The 99th percentiles of pages of 100, in milliseconds: of sellers' statements, then of phones' charges.
page_ms() {
  python3 "$ROOT/cluster-scripts/compare/pages.py" "${API[1]}" "$ADMIN_KEY" 500 2>/dev/null || fail 'pages could not be read'
}

# ---- the course -----------------------------------------------------------------------------------------------------

start_cluster() {
  local id servers=
  ETEBAR_KEY_WINDOW=${WINDOW}s ETEBAR_KEYS_MAX=40000000 "$ROOT/cluster-scripts/up.sh" --dir "$WORK/cluster" --port "$PORT" >/dev/null
  DIR=$WORK/cluster
  open_cluster
  for id in "${IDS[@]}"; do servers+=${servers:+,}${API[$id]}; done
  # shellcheck disable=SC2031 # that subshell is start_load's, which is not called here
  export ETEBAR_SERVER=$servers ETEBAR_KEY=$ADMIN_KEY
  "$CLIENT_PROGRAM" load --prepare 1 --sellers-file "$WORK/sellers" >/dev/null
  SELLER_KEY=$(field key "$(<"$WORK/sellers")")
}

# fill CHARGES: batches until the ledger has so many more.
fill() { bench --seconds 3600 --connections 8 --batch 1000 --sellers "$SELLERS" --phones "$PHONES" --charges "$1" >/dev/null; }

# measure SIZE: one line of the table.
measure() {
  local single batch memory audit disk follower all empty pages charges
  charges=$(entries)
  disk=-
  ((charges - EMPTY_ENTRIES < 100000)) || disk=$((($(disk_kb) - EMPTY_KB) * 1024 / (charges - EMPTY_ENTRIES)))
  single=$(rate --connections 256)
  batch=$(rate --connections 8 --batch 1000)
  sleep "$((WINDOW + 1))"
  rate --connections 16 >/dev/null # keys are dropped as others come
  memory=$(memory_mb)
  audit=$(audit_ms)
  follower=$(follower_ready_ms)
  read_cluster # the new process numbers, which a subshell wrote
  all=$(all_killed_ms)
  read_cluster
  empty=$(catch_up_ms)
  read_cluster
  pages=$(page_ms)
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$charges" "$single" "$batch" "$memory" "$audit" "$disk" "$follower" "$all" "$empty" "${pages% *}" "${pages#* }" >>"$WORK/rows"
  printf '%12s entries: %s/s singly, %s/s in batches, %s MB, audit %s ms, %s bytes a charge, follower %s ms, all %s ms, empty %s ms, pages %s ms\n' \
    "$(grouped "$charges")" "$single" "$batch" "$memory" "$audit" "$disk" "$follower" "$all" "$empty" "$pages"
}

report() {
  printf 'Commit %s, %s cores, %s, key window %s s.\n\n' "$(git -C "$ROOT" rev-parse --short HEAD 2>/dev/null || echo unknown)" "$(nproc)" "$(date -u +%Y-%m-%d)" "$WINDOW"
  printf '| entries | single charges/s | in batches/s | memory, MB | audit, ms | disk a charge, bytes | follower killed to ready, ms | all killed to a charge, ms | empty node to ready, ms | page of a statement, p99 ms | page of a phone, p99 ms |\n'
  printf '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n'
  awk -F '\t' '{ printf "|"; for (i = 1; i <= NF; i++) printf " %s |", $i; print "" }' "$WORK/rows"
}

finish() {
  [[ ! -f $WORK/cluster/cluster.json ]] || "$ROOT/cluster-scripts/down.sh" --dir "$WORK/cluster" --wipe 2>/dev/null || true
  rm -rf "${WORK:?}"
}

has_tool python3 || install_packages python3
build_programs
mkdir -p "$OUT"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/etebar-grow.XXXXXX")
trap finish EXIT
trap 'exit 130' INT TERM
start_cluster
keep_empty
EMPTY_ENTRIES=$(entries) EMPTY_KB=$(disk_kb)
while read -r size; do
  missing=$((size - $(entries)))
  ((missing < 1000)) || fill "$missing"
  measure
done < <(sizes)
report >"$OUT/grow.md"
awk -v from="$EMPTY_ENTRIES" -f "$ROOT/cluster-scripts/compare/growth.awk" "$WORK/rows" >"$OUT/grow.svg"
say "$OUT/grow.md and $OUT/grow.svg are written"
