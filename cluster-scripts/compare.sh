#!/usr/bin/env bash
# compare.sh [--seconds 4] [--port 27400] [--out DIR] [--no-etcd-perf]
#
# Measures Etebar beside what it may be compared with, one after the other in one run on this machine, each for so many
# seconds: requests that do nothing, three nodes of Etebar, the disk's syncs, PostgreSQL 15 (alone, and with a synchronous
# standby) and three members of etcd 3.4. wrk judges `etebar bench`. All of it is on 127.0.0.1 and in a temporary folder,
# and is ended and deleted at the end. Missing Debian packages are installed as root; what cannot be is left out, and that
# is said. About two minutes, and one more for `etcdctl check perf`, which --no-etcd-perf leaves out.
#
# DIR (./data) gets compare.md, the rates as a table with their ratios, and compare.svg. Read the ratios, not the rates.
# Run it on an otherwise idle machine. Exit 0, 1 where Etebar could not be measured, 2 for wrong usage.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

LENGTH=4 PORT=27400 OUT=./data ETCD_PERF=yes
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) help ;;
    --seconds) LENGTH=$(value_of "$1" "$@"); shift 2 ;;
    --port) PORT=$(value_of "$1" "$@"); shift 2 ;;
    --out) OUT=$(value_of "$1" "$@"); shift 2 ;;
    --no-etcd-perf) ETCD_PERF=; shift ;;
    *) wrong_usage "unknown argument $1" ;;
  esac
done
[[ $LENGTH =~ ^[1-9][0-9]?$ ]] || wrong_usage "--seconds is 1 to 99, not $LENGTH"
[[ $PORT =~ ^[1-9][0-9]{3,4}$ && $PORT -le 65000 ]] || wrong_usage "--port is 1000 to 65000, not $PORT"
FILES=$ROOT/cluster-scripts/compare
POSTGRES=/usr/lib/postgresql/15/bin

# ---- what was measured ----------------------------------------------------------------------------------------------

# note NAME RATE MEDIAN_MS P99_MS WHAT: one line of the table. A latency that is not known is "-".
note() {
  printf '%s\t%s\t%s\t%s\t%s\n' "$@" >>"$WORK/rows"
  printf '%-46s %10.0f/s   median %s ms   99 %% %s ms\n' "$1" "$2" "$3" "$4"
}

left_out() {
  say "left out: $1"
  printf '%s\n' "$1" >>"$WORK/left-out"
}

# need TOOL PACKAGE...: false where the tool is missing and cannot be installed.
need() {
  local tool=$1
  shift
  has_tool "$tool" && return 0
  [[ $(id -u) == 0 ]] && (install_packages "$@") && has_tool "$tool"
}

# ---- Etebar ---------------------------------------------------------------------------------------------------------

start_etebar() {
  "$ROOT/cluster-scripts/up.sh" --dir "$WORK/cluster" --port "$PORT" >/dev/null
  DIR=$WORK/cluster
  open_cluster
  local id
  SERVERS=
  for id in "${IDS[@]}"; do SERVERS+=${SERVERS:+,}${API[$id]}; done
  # shellcheck disable=SC2031 # that subshell is start_load's, which is not called here
  export ETEBAR_SERVER=$SERVERS ETEBAR_KEY=$ADMIN_KEY
}

# bench NAME RATE_FIELD ARGUMENTS...: one run of `etebar bench`, with a second of warm-up.
bench() {
  local name=$1 rate=$2 text status=0
  shift 2
  text=$("$CLIENT_PROGRAM" --json bench --seconds "$LENGTH" --warm-up 1 "$@" 2>"$WORK/bench.err") || status=$?
  # 3: it measured, but could not check the books.
  ((status == 0 || status == 3)) || fail "etebar bench $*: exit $status: $(tail -n 1 "$WORK/bench.err")"
  note "$name" "$(number "$rate" "$text")" "$(number p50_ms "$text")" "$(number p99_ms "$text")" "\`etebar bench $*\`"
}

# number NAME JSON: the first number under that name, with its fraction.
number() {
  local text
  text=$(grep -oE "\"$1\": *[0-9.]+" <<<"$2" | head -n 1) || fail "no $1 in: ${2:0:200}"
  printf '%s' "${text##*[: ]}"
}

# judge NAME WHAT WRK_ARGUMENTS...: one run of wrk over 256 connections.
judge() {
  local name=$1 what=$2 text
  shift 2
  text=$(wrk -t 2 -c 256 -d "${LENGTH}s" --latency "$@" 2>&1) || { left_out "$name: wrk failed: $(tail -n 1 <<<"$text")"; return 0; }
  if grep -q 'Non-2xx' <<<"$text"; then left_out "$name: $(grep 'Non-2xx' <<<"$text")"; return 0; fi
  note "$name" "$(sed -n 's/^Requests\/sec: *//p' <<<"$text")" "$(wrk_ms '50%' "$text")" "$(wrk_ms '99%' "$text")" "$what"
}

# wrk_ms PERCENTILE TEXT: that latency in milliseconds, from one of wrk's units.
wrk_ms() {
  awk -v at="$1" '$1 == at { f = $2 ~ /us$/ ? 0.001 : $2 ~ /ms$/ ? 1 : 1000; printf "%.2f", $2 * f }' <<<"$2"
}

measure_etebar() {
  local leader
  start_etebar
  bench 'no-op requests, 256 connections' requests_per_second --no-op --connections 256
  bench 'Etebar, single charges, 256 connections' charges_per_second --connections 256 --sellers 1000
  bench 'Etebar, the same through followers' charges_per_second --connections 256 --sellers 1000 --target follower
  bench 'Etebar, one hot seller, 256 connections' charges_per_second --connections 256 --sellers 1
  bench 'Etebar, one hot seller, 64 connections' charges_per_second --connections 64 --sellers 1
  bench 'Etebar, single charges, 1 connection' charges_per_second --connections 1
  bench 'Etebar, batches of 1,000, 8 connections' charges_per_second --connections 8 --batch 1000 --sellers 1000
  bench 'Etebar, linearizable reads, leader' reads_per_second --connections 256 --reads 100 --sellers 1000
  bench 'Etebar, linearizable reads, follower' reads_per_second --connections 256 --reads 100 --sellers 1000 --target follower
  if need wrk wrk; then
    leader=$(leader_now) || fail 'the cluster has no leader'
    "$CLIENT_PROGRAM" load --prepare 100 --sellers-file "$WORK/sellers" >/dev/null
    judge 'no-op requests, by wrk' "\`wrk -c 256\` on \`/livez\`" "${API[$leader]}/livez"
    SELLERS=$WORK/sellers RUN=wrk-$$ judge 'Etebar, single charges, by wrk' "\`wrk -c 256\` with \`charges.lua\`" -s "$FILES/charges.lua" "${API[$leader]}"
  else
    left_out 'wrk: it is not installed'
  fi
  "$ROOT/cluster-scripts/down.sh" --dir "$WORK/cluster" --wipe 2>/dev/null
}

# ---- the disk -------------------------------------------------------------------------------------------------------

# One write of 4 KiB and one sync after the other; the median and the 99th percentile are not known.
measure_disk() {
  local began count=2000 text
  began=$(now_ms)
  text=$(LC_ALL=C timeout "$((LENGTH * 2))" dd if=/dev/zero of="$WORK/syncs" bs=4096 count="$count" oflag=dsync conv=notrunc 2>&1) || {
    left_out "the disk's syncs: $count of them take longer than $((LENGTH * 2)) s: ${text##*$'\n'}"
    return 0
  }
  note "the disk, syncs of 4 KiB one by one" "$(awk -v n="$count" -v ms="$(($(now_ms) - began))" 'BEGIN { print n * 1000 / ms }')" - - "\`dd bs=4096 oflag=dsync\`"
  rm -f "$WORK/syncs"
}

# ---- PostgreSQL -----------------------------------------------------------------------------------------------------

# PostgreSQL refuses to run as root.
as_postgres() {
  if [[ $(id -u) == 0 ]]; then runuser -u postgres -- "$@"; else "$@"; fi
}

# start_postgres DIR PORT
start_postgres() {
  as_postgres "$POSTGRES/pg_ctl" -D "$1" -w -t 30 -l "$1.log" \
    -o "-p $2 -c listen_addresses=127.0.0.1 -c unix_socket_directories=$WORK/postgres -c shared_buffers=512MB -c max_wal_size=4GB -c max_connections=100" start >/dev/null
}

query() { as_postgres "$POSTGRES/psql" -h "$WORK/postgres" -p "$((PORT + 60))" -d postgres -v ON_ERROR_STOP=1 -qAt "$@"; }

# pgbench NAME SELLERS: charges over a Unix socket by 64 clients.
pgbench_charges() {
  local name=$1 text
  printf '\\set seller random(1, %s)\n\\set phone random(9120000000, 9129999999)\nSELECT charge(gen_random_uuid(), :seller, :phone, 1);\n' "$2" >"$WORK/postgres/script"
  text=$(as_postgres "$POSTGRES/pgbench" -h "$WORK/postgres" -p "$((PORT + 60))" -n -M prepared -c 64 -j 2 -T "$LENGTH" -f "$WORK/postgres/script" postgres 2>&1) || {
    left_out "$name: $(tail -n 1 <<<"$text")"
    return 0
  }
  note "$name" "$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' <<<"$text")" "$(sed -n 's/^latency average = \([0-9.]*\) ms/\1 (mean)/p' <<<"$text")" - "\`pgbench -M prepared -c 64\`, sellers: $2"
}

measure_postgres() {
  need "$POSTGRES/pgbench" postgresql-15 || { left_out 'PostgreSQL: postgresql-15 is not installed'; return 0; }
  mkdir "$WORK/postgres"
  [[ $(id -u) != 0 ]] || { chmod 711 "$WORK"; chown postgres: "$WORK/postgres"; }
  as_postgres "$POSTGRES/initdb" -D "$WORK/postgres/one" -A trust >/dev/null 2>&1 || { left_out 'PostgreSQL: initdb failed'; return 0; }
  start_postgres "$WORK/postgres/one" "$((PORT + 60))" || { left_out 'PostgreSQL does not start'; return 0; }
  query <"$FILES/charge.sql"
  pgbench_charges 'PostgreSQL, 1,000 sellers' 1000
  pgbench_charges 'PostgreSQL, one hot seller' 1
  if as_postgres "$POSTGRES/pg_basebackup" -h "$WORK/postgres" -p "$((PORT + 60))" -D "$WORK/postgres/two" -R -X stream -c fast >/dev/null 2>&1 \
    && start_postgres "$WORK/postgres/two" "$((PORT + 61))"; then
    query -c "ALTER SYSTEM SET synchronous_standby_names = '*'" -c 'SELECT pg_reload_conf()' >/dev/null
    wait_standby
    pgbench_charges 'PostgreSQL + synchronous standby, 1,000 sellers' 1000
    pgbench_charges 'PostgreSQL + synchronous standby, one hot seller' 1
  else
    left_out 'PostgreSQL with a standby: it does not start'
  fi
  stop_postgres
}

wait_standby() {
  local deadline=$((SECONDS + 20))
  until [[ $(query -c "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == 1 ]]; do
    ((SECONDS < deadline)) || fail 'the standby of PostgreSQL does not become synchronous'
    sleep 0.1
  done
}

# pg_ctl signals the process whose number is in the data directory.
stop_postgres() {
  local data
  for data in "$WORK/postgres/two" "$WORK/postgres/one"; do
    [[ ! -f $data/postmaster.pid ]] || as_postgres "$POSTGRES/pg_ctl" -D "$data" -m immediate -w stop >/dev/null 2>&1 || true
  done
}

# ---- etcd -----------------------------------------------------------------------------------------------------------

declare -a ETCD_PIDS=()
start_etcd() {
  local id members='' base=$((PORT + 70)) deadline=$((SECONDS + 20))
  for id in 1 2 3; do members+=${members:+,}m$id=http://127.0.0.1:$((base + 10 + id)); done
  for id in 1 2 3; do
    env ETCD_UNSUPPORTED_ARCH="$(uname -m)" etcd --name "m$id" --data-dir "$WORK/etcd-$id" --log-level error \
      --listen-client-urls "http://127.0.0.1:$((base + id))" --advertise-client-urls "http://127.0.0.1:$((base + id))" \
      --listen-peer-urls "http://127.0.0.1:$((base + 10 + id))" --initial-advertise-peer-urls "http://127.0.0.1:$((base + 10 + id))" \
      --initial-cluster "$members" --initial-cluster-state new --quota-backend-bytes 8000000000 </dev/null >"$WORK/etcd-$id.log" 2>&1 &
    ETCD_PIDS+=("$!")
    disown
    ETCD+=${ETCD:+,}http://127.0.0.1:$((base + id))
  done
  until ETCDCTL_API=3 etcdctl --endpoints "$ETCD" endpoint health >/dev/null 2>&1; do
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}

# The gateway translates JSON to gRPC and is not etcd's fast path, so etcdctl's own load stands beside it: 15,000 puts a second
# at most over 1,000 clients, of which it reports no latency but the slowest.
measure_etcd() {
  local text leader
  { need etcd etcd-server && need etcdctl etcd-client; } || { left_out 'etcd: etcd-server and etcd-client are not installed'; return 0; }
  ETCD=
  start_etcd || { left_out "etcd does not start: $(tail -n 1 "$WORK/etcd-1.log")"; stop_etcd; return 0; }
  # IS LEADER is the fifth field.
  leader=$(ETCDCTL_API=3 etcdctl --endpoints "$ETCD" endpoint status | awk -F ', ' '$5 == "true" { print $1 }')
  if has_tool wrk; then judge 'etcd, puts over its JSON gateway' "\`wrk -c 256\` with \`puts.lua\`" -s "$FILES/puts.lua" "${leader:-${ETCD%%,*}}"; fi
  if [[ -n $ETCD_PERF ]]; then
    text=$(ETCDCTL_API=3 timeout 90 etcdctl --endpoints "$ETCD" check perf --load xl 2>&1) || true
    if [[ $text =~ hroughput[^0-9]*([0-9]+)\ writes/s ]]; then
      note 'etcd, puts over gRPC' "${BASH_REMATCH[1]}" - - "\`etcdctl check perf --load xl\`"
    else
      left_out "etcd over gRPC: etcdctl check perf printed no throughput: $(tail -n 1 <<<"$text")"
    fi
  fi
  stop_etcd
}

stop_etcd() {
  local pid
  for pid in "${ETCD_PIDS[@]}"; do
    [[ $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") == etcd\ * ]] && kill -s KILL "$pid" 2>/dev/null
  done
  ETCD_PIDS=()
}

# ---- the report -----------------------------------------------------------------------------------------------------

rate_of() { awk -F '\t' -v name="$1" '$1 == name { print $2 }' "$WORK/rows"; }

# ratio WHAT NAME OTHER: one line; nothing where either was not measured.
ratio() {
  local above below
  above=$(rate_of "$2") below=$(rate_of "$3")
  [[ -z $above || -z $below ]] || awk -v w="$1" -v a="$above" -v b="$below" 'BEGIN { printf "| %s | %.2f |\n", w, a / b }'
}

report() {
  local commit
  commit=$(git -C "$ROOT" rev-parse --short HEAD 2>/dev/null || echo unknown)
  printf 'Commit %s, %s cores, %s s each, %s.\n\n' "$commit" "$(nproc)" "$LENGTH" "$(date -u +%Y-%m-%d)"
  printf '| what | a second | median, ms | 99 %%, ms | ÷ no-op | by |\n| --- | --- | --- | --- | --- | --- |\n'
  awk -F '\t' 'NR == 1 { noop = $2 } { printf "| %s | %.0f | %s | %s | %.3f | %s |\n", $1, $2, $3, $4, $2 / noop, $5 }' "$WORK/rows"
  printf '\n| ratio | |\n| --- | --- |\n'
  ratio 'single charges ÷ no-op' 'Etebar, single charges, 256 connections' 'no-op requests, 256 connections'
  ratio 'the same, both by wrk' 'Etebar, single charges, by wrk' 'no-op requests, by wrk'
  ratio 'to followers ÷ to the leader' 'Etebar, the same through followers' 'Etebar, single charges, 256 connections'
  ratio 'batches of 1,000 ÷ no-op' 'Etebar, batches of 1,000, 8 connections' 'no-op requests, 256 connections'
  ratio 'one hot seller ÷ 1,000 sellers' 'Etebar, one hot seller, 256 connections' 'Etebar, single charges, 256 connections'
  ratio 'linearizable reads, leader ÷ no-op' 'Etebar, linearizable reads, leader' 'no-op requests, 256 connections'
  ratio 'linearizable reads, follower ÷ no-op' 'Etebar, linearizable reads, follower' 'no-op requests, 256 connections'
  awk -F '\t' '$1 == "Etebar, single charges, 256 connections" { printf "| 99 %% ÷ median of single charges | %.2f |\n", $4 / $3 }' "$WORK/rows"
  ratio 'one hot seller, 64 clients ÷ PostgreSQL + synchronous standby' 'Etebar, one hot seller, 64 connections' 'PostgreSQL + synchronous standby, one hot seller'
  ratio 'one hot seller, 64 clients ÷ PostgreSQL alone' 'Etebar, one hot seller, 64 connections' 'PostgreSQL, one hot seller'
  ratio '1,000 sellers ÷ PostgreSQL + synchronous standby' 'Etebar, single charges, 256 connections' 'PostgreSQL + synchronous standby, 1,000 sellers'
  ratio '1,000 sellers ÷ PostgreSQL alone' 'Etebar, single charges, 256 connections' 'PostgreSQL, 1,000 sellers'
  ratio 'single charges ÷ puts of etcd over JSON, both by wrk' 'Etebar, single charges, by wrk' 'etcd, puts over its JSON gateway'
  ratio 'single charges ÷ puts of etcd over gRPC' 'Etebar, single charges, 256 connections' 'etcd, puts over gRPC'
  ratio 'single charges, 1 connection ÷ syncs of the disk' 'Etebar, single charges, 1 connection' 'the disk, syncs of 4 KiB one by one'
  [[ ! -s $WORK/left-out ]] || { printf '\nLeft out:\n\n'; sed 's/^/- /' "$WORK/left-out"; }
}

# Ends what still runs, whatever happened.
finish() {
  stop_etcd
  stop_postgres
  [[ ! -f $WORK/cluster/cluster.json ]] || "$ROOT/cluster-scripts/down.sh" --dir "$WORK/cluster" --wipe 2>/dev/null || true
  rm -rf "${WORK:?}"
}

build_programs
mkdir -p "$OUT"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/etebar-compare.XXXXXX")
trap finish EXIT
trap 'exit 130' INT TERM
measure_etebar
measure_disk
measure_postgres
measure_etcd
report >"$OUT/compare.md"
awk -F '\t' '{ printf "%s\t%s\t%.0f/s\n", $1, $2, $2 }' "$WORK/rows" | awk -v title='A second, on one machine in one run (logarithmic)' -f "$FILES/bars.awk" >"$OUT/compare.svg"
say "$OUT/compare.md and $OUT/compare.svg are written"
