#!/usr/bin/env bash
# demo.sh
#
# The story of Etebar in a minute, after the first build: three nodes on this machine, a seller's credit used up exactly, two
# sellers in parallel, then heavy load from four processes over all nodes while the leader is killed twice and comes back. It
# ends with the proof that every record adds up, exits non-zero where one does not, and leaves nothing running.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

HERE=$(dirname "${BASH_SOURCE[0]}")
LOADS=4 CONNECTIONS=24 LOAD_SECONDS=20
case ${1-} in
  '') ;;
  --help | -h) help ;;
  *) wrong_usage "unknown argument $1" ;;
esac

build_programs
unset ETEBAR_SERVER ETEBAR_KEY
WORK=$(mktemp -d "${TMPDIR:-/tmp}/etebar-demo.XXXXXX")
DIR=$WORK/cluster
PIDS=()

clean_up() {
  local status=$? pid
  trap - EXIT
  for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done # only what this script started and not yet waited for
  if [[ -f $DIR/cluster.json ]]; then "$HERE/down.sh" --dir "$DIR" --wipe 2>/dev/null || say "some member may still run, see $DIR"; fi
  rm -rf "${WORK:?}"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

step() { printf '\n%3d s  %s\n' "$((SECONDS - BEGAN))" "$*"; }
told() { printf '       %s\n' "$*"; }

# expect WHAT WANTED FOUND: ends the demo where they differ.
expect() {
  [[ $2 == "$3" ]] || fail "PROOF FAILED: $1 is $3, not $2"
  told "$1: $3"
}

# The first port of a range that nobody listens on, below the ports that the kernel gives to outgoing connections.
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
  step 'One seller: 1,000,000 of credit, then 60 charges of 5,000, each through another node than the last'
  new_seller 'Corner shop'
  credit 1000000
  expect 'balance after the approval' 1000000 "$(balance "$SELLER")"
  as "$ADMIN_KEY" credit-requests approve "$REQUEST" >/dev/null
  expect 'balance after approving it again' 1000000 "$(balance "$SELLER")"
  local i
  for ((i = 1; i <= 60; i++)); do
    SERVERS=${API[${IDS[$((i % ${#IDS[@]}))]}]}
    as "$SELLER_KEY" charge 09123456789 5000 --idempotency-key "order-$i" >/dev/null
  done
  SERVERS=$ALL_SERVERS
  expect 'balance after 60 charges' 700000 "$(balance "$SELLER")"
  as "$SELLER_KEY" charge 09123456789 5000 --idempotency-key order-60 >/dev/null
  expect 'balance after sending the last one again' 700000 "$(balance "$SELLER")"
  local refused
  if refused=$(as "$SELLER_KEY" charge 09123456789 700001 2>&1); then fail "PROOF FAILED: more was charged than there was"; fi
  told "one charge over the credit: ${refused##*$'\n'}"
  expect 'balance after the refusal' 700000 "$(balance "$SELLER")"
}

two_sellers() {
  step 'Two sellers in parallel: 10 credits and 1,000 charges'
  local sellers=() keys=() i half pids=()
  for i in 0 1; do
    new_seller "Kiosk $i"
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

load_with_kills() {
  step "Heavy load: $LOADS processes with $CONNECTIONS tasks each over all nodes for $LOAD_SECONDS s; the leader is killed twice"
  as "$ADMIN_KEY" load --prepare 16 --sellers-file "$WORK/sellers" >/dev/null
  local i victim pids=()
  for ((i = 1; i <= LOADS; i++)); do
    as "$ADMIN_KEY" load --sellers-file "$WORK/sellers" --processes-tag "$i" --seconds "$LOAD_SECONDS" \
      --connections "$CONNECTIONS" --record "$WORK/record-$i" >"$WORK/load-$i" &
    pids+=($!)
  done
  PIDS=("${pids[@]}")
  for i in 1 2; do
    sleep $((LOAD_SECONDS / 4))
    victim=$("$HERE/kill.sh" leader --dir "$DIR")
    told "$((SECONDS - BEGAN)) s: killed the leader, node $victim (SIGKILL)"
    sleep 2
    "$HERE/start.sh" "$victim" --dir "$DIR" >/dev/null
    told "$((SECONDS - BEGAN)) s: node $victim is back; the leader is node $(TARGET_ID=leader; resolve_member; printf '%s' "$TARGET_ID")"
  done
  wait_for "${pids[@]}" || fail "PROOF FAILED: a load process did not end well: $(cat "$WORK"/load-*)"
  for ((i = 1; i <= LOADS; i++)); do
    told "process $i: $(field charges_per_second "$(<"$WORK/load-$i")") charges/s, longest silence $(field longest_silence_ms "$(<"$WORK/load-$i")") ms"
  done
}

proof() {
  step 'The proof: every answer that a load process was given, against the journal and all nodes'
  for id in "${IDS[@]}"; do wait_answer "$id" /readyz; done
  ETEBAR_KEY=$ADMIN_KEY "$CLIENT_PROGRAM" --server "$SERVERS" --timeout 60s prove --record "$WORK"/record-* || fail "PROOF FAILED"
}

BEGAN=$SECONDS
step 'Three nodes'
"$HERE/up.sh" --dir "$DIR" --port "$(free_port)" | grep '^member'
open_cluster
ALL_SERVERS=$(IFS=,; printf '%s' "${API[*]}")
SERVERS=$ALL_SERVERS
example_of_the_brief
two_sellers
load_with_kills
proof
step 'Every proof holds. Nothing is left running.'
