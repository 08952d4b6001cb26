#!/usr/bin/env bash
# demo.sh [--keep] [--svg FILE]
#
# A demo of Etebar in half a minute, after the first build: three nodes on this machine, a seller's credit used up exactly, two
# sellers in parallel, then heavy load from four processes over all nodes while the leader is killed twice and comes back. It
# ends with the proof that every record adds up and a drawing of the load, exits non-zero where a proof fails, and leaves
# nothing running.
#
#   --keep       leave the cluster running, in ./data/demo, and say what to try next
#   --svg FILE   where to draw the load (./data/demo.svg)
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

HERE=$(dirname "${BASH_SOURCE[0]}")
LOADS=4 CONNECTIONS=24 LOAD_SECONDS=20
KEEP='' SVG=./data/demo.svg
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) help ;;
    --keep) KEEP=yes; shift ;;
    --svg) SVG=$(value_of "$1" "$@"); shift 2 ;;
    *) wrong_usage "unknown argument $1" ;;
  esac
done
SVG=$(realpath -m "$SVG")
mkdir -p "$(dirname "$SVG")" || fail "--svg: there is no place for $SVG"
KEPT=$(realpath -m ./data/demo)
if [[ -n $KEEP && -e $KEPT ]]; then fail "an earlier demo is in $KEPT: $HERE/down.sh --dir $KEPT --wipe"; fi

build_programs
unset ETEBAR_SERVER ETEBAR_KEY
WORK=$(mktemp -d "${TMPDIR:-/tmp}/etebar-demo.XXXXXX")
DIR=$WORK/cluster
[[ -z $KEEP ]] || DIR=$KEPT
PIDS=()

clean_up() {
  local status=$? pid
  trap - EXIT
  for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done # only what this script started and not yet waited for
  if [[ -f $DIR/cluster.json && ! ($status == 0 && -n $KEEP) ]]; then
    "$HERE/down.sh" --dir "$DIR" --wipe 2>/dev/null || say "some node may still run, see $DIR"
  fi
  rm -rf "${WORK:?}"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# step HEADLINE WHY...: a chapter, and what it is there to show.
step() {
  printf '\n%3d s  %s\n' "$((SECONDS - BEGAN))" "$1"
  shift
  [[ $# == 0 ]] || fold -s -w 90 <<<"$*" | sed 's/^/       | /; s/ *$//'
}
detail() { printf '       %s\n' "$*"; }

# expect WHAT WANTED FOUND: ends the demo where they differ.
expect() {
  [[ $2 == "$3" ]] || fail "PROOF FAILED: $1 is $3, not $2"
  detail "$1: $(grouped "$3")"
}

# The first port of a range without a listener, below the ports that the kernel gives to outgoing connections.
free_port() {
  local port offset
  for _ in {1..50}; do
    port=$((10000 + RANDOM % 200 * 100))
    for offset in 1 2 3 21 22 23; do
      if (exec 8<>"/dev/tcp/127.0.0.1/$((port + offset))") 2>/dev/null; then continue 2; fi
    done
    printf '%s' "$port"
    return 0
  done
  fail "no free ports found"
}

etebar() { "$CLIENT_PROGRAM" --server "${SERVERS}" --json "$@"; }
as() { local key=$1; shift; ETEBAR_KEY=$key etebar "$@"; } # the key is on no command line
balance() { field balance "$(as "$ADMIN_KEY" sellers show "$1")"; }

# new_seller NAME: sets SELLER and SELLER_KEY.
new_seller() {
  SELLER=$(field id "$(as "$ADMIN_KEY" sellers create "$1")")
  SELLER_KEY=$(field key "$(as "$ADMIN_KEY" keys create --role seller --name "$1" --seller "$SELLER")")
}

# credit AMOUNT: requested by SELLER, approved by the admin; sets REQUEST.
credit() {
  REQUEST=$(field id "$(as "$SELLER_KEY" credit-requests create "$1")")
  as "$ADMIN_KEY" credit-requests approve "$REQUEST" >/dev/null
}

# charge_many KEY NAME COUNT AMOUNT: a batch of charges, a phone number each.
charge_many() {
  local i
  for ((i = 1; i <= $3; i++)); do
    printf '{"phone":"0912%07d","amount":"%s","idempotency_key":"%s-%s"}\n' "$i" "$4" "$2" "$i"
  done | as "$1" charges batch >/dev/null
}

# wait_for PID...: waits for these processes of ours; fails where one of them failed.
wait_for() {
  local pid failed=
  for pid in "$@"; do wait "$pid" || failed=yes; done
  PIDS=()
  [[ -z $failed ]]
}

example_of_the_brief() {
  step 'One seller, and the example of the brief' \
    'A seller asks for 1,000,000 Toman of credit, an admin approves it, and the credit is there once. Then 60 charges of 5,000,' \
    'each through another node than the last: whichever is asked, the leader decides, and the credit falls by just that much.'
  new_seller 'Corner shop'
  credit 1000000
  expect 'balance after the approval' 1000000 "$(balance "$SELLER")"
  as "$ADMIN_KEY" credit-requests approve "$REQUEST" >/dev/null
  expect 'balance after approving it again' 1000000 "$(balance "$SELLER")"
  local i
  for ((i = 1; i <= 60; i++)); do
    SERVERS=${API[${IDS[$((i % ${#IDS[@]}))]}]}
    as "$SELLER_KEY" charge 09123456789 5000 --idempotency-key "order-$i" >/dev/null
    progress "charge $i of 60 through node ${IDS[$((i % ${#IDS[@]}))]}"
  done
  progress_done
  SERVERS=$ALL_SERVERS
  expect 'balance after 60 charges' 700000 "$(balance "$SELLER")"
  as "$SELLER_KEY" charge 09123456789 5000 --idempotency-key order-60 >/dev/null
  expect 'balance after sending the last one again, under its key' 700000 "$(balance "$SELLER")"
  local refused
  if refused=$(as "$SELLER_KEY" charge 09123456789 700001 2>&1); then fail "PROOF FAILED: more was charged than there was"; fi
  detail "one charge of 700,001, over the credit: $(field code "$refused")"
  expect 'balance after the refusal' 700000 "$(balance "$SELLER")"
}

two_sellers() {
  step 'Two sellers in parallel: 10 credits and 1,000 charges' \
    'Ten batches at once from two sellers. The ledger puts them into one order and decides them one after the other, so none' \
    'can spend what another has spent already, and no charge is lost between two of them.'
  local sellers=() keys=() i half pids=()
  for i in 0 1; do
    new_seller "Kiosk $((i + 1))"
    sellers+=("$SELLER") keys+=("$SELLER_KEY")
    for _ in {1..5}; do credit 1000000; done
  done
  for i in 0 1; do
    for half in 1 2 3 4 5; do
      charge_many "${keys[$i]}" "sale-$half" 100 1000 &
      pids+=($!)
    done
  done
  PIDS=("${pids[@]}")
  wait_for "${pids[@]}" || fail "PROOF FAILED: a charge was refused"
  for i in 0 1; do
    expect "balance of seller $((i + 1)), 5,000,000 less 500 charges of 1,000" 4500000 "$(balance "${sellers[$i]}")"
  done
}

# ---- the load -------------------------------------------------------------------------------------------------------

# Shows what is under way on one line of a terminal; elsewhere nothing.
progress() { if [[ -t 1 ]]; then printf '\r       %s\e[K' "$*"; fi; }
progress_done() { if [[ -t 1 ]]; then printf '\r\e[K'; fi; }

# watch_load SECONDS: shows how the load goes, a bar for each half second, and on a terminal alone.
watch_load() {
  local until=$((SECONDS + $1)) before now began
  while ((SECONDS < until)); do
    began=${EPOCHREALTIME/[.,]/} before=$ANSWERS
    sleep 0.5
    count_answers
    now=${EPOCHREALTIME/[.,]/}
    show_rate "$(((ANSWERS - before) * 1000000 / (now - began)))"
  done
}

show_rate() {
  local bars=(▁ ▂ ▃ ▄ ▅ ▆ ▇ █)
  ((PEAK >= $1)) || PEAK=$1
  RATES+=${bars[$((PEAK == 0 ? 0 : $1 * 7 / PEAK))]}
  progress "$RATES  $(grouped "$1") a second, $(grouped "$ANSWERS") answered"
}

# kill_leader: kills it, lets the others continue without it for 2 s, and starts it again.
kill_leader() {
  local victim killed
  victim=$("$HERE/kill.sh" leader --dir "$DIR")
  killed=$(now_ms)
  progress_done
  detail "$((SECONDS - BEGAN)) s: killed the leader, node $victim (SIGKILL)"
  RATES+=x
  watch_load 2
  "$HERE/start.sh" "$victim" --dir "$DIR" >/dev/null
  mark "$killed" "$(now_ms)" "node $victim killed"
  progress_done
  detail "$((SECONDS - BEGAN)) s: node $victim is back; the leader is node $(TARGET_ID=leader; resolve_node; printf '%s' "$TARGET_ID")"
}

load_with_kills() {
  step "Heavy load for $LOAD_SECONDS s, and the leader is killed twice" \
    "$LOADS processes with $CONNECTIONS tasks each charge through all nodes as fast as they can; the nodes and they share this machine's $(nproc) cores." \
    'A charge that got no answer is sent again under its key, to another node, until it has one. Each answer is written down.'
  as "$ADMIN_KEY" load --prepare 16 --sellers-file "$WORK/sellers" >/dev/null
  local i pids=()
  PEAK=0 RATES=''
  for ((i = 1; i <= LOADS; i++)); do
    start_load "$i" "$LOAD_SECONDS"
    pids+=("$LOAD_PID")
  done
  PIDS=("${pids[@]}")
  for i in 1 2; do
    watch_load $((LOAD_SECONDS / 4))
    kill_leader
  done
  watch_load $((LOAD_SECONDS / 4))
  wait_for "${pids[@]}" || fail "PROOF FAILED: a load process did not end well: $(cat "$WORK"/load-*)"
  progress_done
  "$CLIENT_PROGRAM" plot --record "$WORK"/record-* --marks "$WORK/marks" --output "$SVG" \
    --title 'Etebar: three nodes, the leader killed twice' | sed 's/^/       /'
}

proof() {
  step 'The proof' \
    'Every answer that was written down is looked up in the journal: none may be missing (lost), and no charge may be there that' \
    'no answer accounts for (doubled). Then every balance is added up again from the entries, and the nodes are compared.'
  for id in "${IDS[@]}"; do wait_answer "$id" /readyz; done
  ETEBAR_KEY=$ADMIN_KEY "$CLIENT_PROGRAM" --server "$SERVERS" --timeout 60s prove --record "$WORK"/record-* >"$WORK/proof" ||
    fail "PROOF FAILED: $(<"$WORK/proof")"
  sed 's/^/       /' "$WORK/proof"
}

ending() {
  step "Every proof holds. The load is drawn in $SVG"
  if [[ -z $KEEP ]]; then
    detail 'Nothing is left running.'
    return
  fi
  detail "The cluster is still running, in $DIR. Try:"
  detail "  export ETEBAR_SERVER=$ALL_SERVERS ETEBAR_KEY=\$(sed -n 's/.*\"admin_key\": \"\([^\"]*\)\".*/\1/p' $DIR/cluster.json)"
  detail "  $CLIENT_PROGRAM watch"
  detail "  $CLIENT_PROGRAM verify"
  detail "It ends with $HERE/down.sh --dir $DIR"
}

BEGAN=$SECONDS
step 'Three nodes' \
  'Each holds the whole ledger, and any of them takes requests. A charge counts as sold when two of the three have it on disk.'
"$HERE/up.sh" --dir "$DIR" --port "$(free_port)" | sed -n 's/^node/       node/p'
open_cluster
ALL_SERVERS=$(IFS=,; printf '%s' "${API[*]}")
SERVERS=$ALL_SERVERS
example_of_the_brief
two_sellers
load_with_kills
proof
ending
