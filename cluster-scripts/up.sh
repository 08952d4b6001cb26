#!/usr/bin/env bash
# up.sh [--nodes 3] [--dir DIR] [--port 7100] [--from BACKUP [--until ENTRY]]
#
# Starts a local cluster of real processes and waits until every node is ready. Where DIR (./data/local unless given) is
# absent or empty, a new cluster is made; where it holds one, that one is started again, whatever was left of its processes.
# Node N serves the API on port + N, its peers on port + 20 + N and operators on port + 40 + N, on 127.0.0.1 alone. DIR/cluster.json has the addresses
# and the first admin key, DIR/pki the authority and the certificates that nodes prove their numbers with. Settings in the
# environment (ETEBAR_CURRENCY, ETEBAR_LOG_BYTES, …) reach every node.
#
# With --from the new cluster is restored from a backup (give --from again for each increment), up to journal entry ENTRY if one is
# named: node 1 out of the backup, the others added to it. It has a new admin key beside those of the backup, and is on hold: it
# refuses every write until `etebar cluster open`.
#
# Example: cluster-scripts/up.sh --dir /tmp/shop --port 8100
# Example: cluster-scripts/up.sh --dir /tmp/restored --from shop.backup
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

NODES='' PORT='' UNTIL='' FROM=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) help ;;
    --nodes) NODES=$(value_of "$1" "$@"); shift 2 ;;
    --dir) DIR=$(value_of "$1" "$@"); shift 2 ;;
    --port) PORT=$(value_of "$1" "$@"); shift 2 ;;
    --from) FROM+=("$(value_of "$1" "$@")"); shift 2 ;;
    --until) UNTIL=$(value_of "$1" "$@"); shift 2 ;;
    *) wrong_usage "unknown argument $1" ;;
  esac
done
[[ -z $NODES || $NODES =~ ^[1-9]$ ]] || wrong_usage "--nodes is 1 to 9, not $NODES"
[[ -z $PORT || $PORT =~ ^[1-9][0-9]{0,4}$ && $PORT -le 65000 ]] || wrong_usage "--port is 1 to 65000, not $PORT"
[[ -z $UNTIL || $UNTIL =~ ^[1-9][0-9]{0,17}$ ]] || wrong_usage "--until is the number of a journal entry, not $UNTIL"
[[ -z $UNTIL || ${#FROM[@]} -gt 0 ]] || wrong_usage "--until needs --from"
DIR=$(realpath -m "$DIR")
[[ $DIR != *[\"\\$'\n\t']* ]] || wrong_usage "--dir may hold no quote, backslash, tab or line break"

# Makes the data directories of a new cluster and its cluster.json, in which nothing runs yet.
create() {
  local id line hash cluster taken members=() founders
  local nodes=${NODES:-3} port=${PORT:-7100}
  for ((id = 1; id <= nodes; id++)); do
    for taken in $((port + id)) $((port + 20 + id)) $((port + 40 + id)); do
      port_is_free 127.0.0.1 "$taken" || fail "port $taken is taken (--port chooses others)"
    done
    members+=(--member "$id=127.0.0.1:$((port + id))/127.0.0.1:$((port + 20 + id))")
  done
  trap 'rm -rf "${DIR:?}"/node-[1-9] "${DIR:?}"/node-[1-9].log "${DIR:?}"/pki' EXIT # a half-made cluster would only be in the way
  line=$("$NODE_PROGRAM" keygen) || fail "etebar-node keygen failed"
  ADMIN_KEY=$(field key "$line") hash=$(field hash "$line")
  # A restored cluster begins with one node.
  ((${#FROM[@]} == 0)) && founders=$nodes || founders=1
  cluster=$(</proc/sys/kernel/random/uuid)
  declare -gA API=() PEER=() OPS=() PID=() DATA=() LOG=()
  IDS=()
  for ((id = 1; id <= founders; id++)); do
    IDS+=("$id")
    API[$id]=http://127.0.0.1:$((port + id)) PEER[$id]=127.0.0.1:$((port + 20 + id)) PID[$id]=0 DATA[$id]=$DIR/node-$id LOG[$id]=$DIR/node-$id.log
    OPS[$id]=$(ops_beside "${API[$id]}")
    if ((${#FROM[@]} > 0)); then
      "$NODE_PROGRAM" restore "${FROM[@]/#/--from=}" ${UNTIL:+--until "$UNTIL"} --data-dir "${DATA[$id]}" --id "$id" \
        --cluster-id "$cluster" --api "${API[$id]#http://}" --peer "${PEER[$id]}" --admin-key-hash "$hash" \
        >>"${LOG[$id]}" 2>&1 || fail "nothing was restored: $(tail -n 1 "${LOG[$id]}")"
    else
      "$NODE_PROGRAM" init --data-dir "${DATA[$id]}" --id "$id" --cluster-id "$cluster" "${members[@]}" \
        --admin-key-hash "$hash" >>"${LOG[$id]}" 2>&1 || fail "init of node $id: $(tail -n 1 "${LOG[$id]}")"
    fi
  done
  make_certificates
  write_cluster
  trap - EXIT
}

# The cluster in DIR must fit the arguments.
check_arguments() {
  local first=${API[${IDS[0]}]##*:}
  [[ -z $NODES || $NODES == "${#IDS[@]}" ]] || wrong_usage "the cluster in $DIR has ${#IDS[@]} nodes, not $NODES"
  [[ -z $PORT || $((PORT + IDS[0])) == "$first" ]] || wrong_usage "the cluster in $DIR has its first API port at $first"
}

start_all() {
  local id pid
  for id in "${IDS[@]}"; do
    if pid=$(running_pid "$id"); then
      kill -s CONT "$pid"
      PID[$id]=$pid
    else
      launch "$id"
    fi
  done
  write_cluster
}

build_programs
mkdir -p "$DIR"
lock_cluster
FRESH=
if [[ -f $DIR/cluster.json ]]; then
  ((${#FROM[@]} == 0)) || wrong_usage "$DIR holds a cluster already: a backup is restored into a new one"
  read_cluster
  check_arguments
  make_certificates
else
  [[ -z $(find "$DIR" -mindepth 1 -maxdepth 1 ! -name .lock -print -quit) ]] \
    || fail "$DIR is neither empty nor a cluster (it has no cluster.json); choose another --dir"
  create
  FRESH=yes
fi
start_all
unlock_cluster

for id in "${IDS[@]}"; do
  wait_answer "$id" /readyz && continue
  if [[ -n $FRESH ]]; then
    stop_nodes "${IDS[@]}"
    fail "the new cluster did not become ready; its logs are ${DIR}/node-*.log"
  fi
  fail "node $id is not ready; the others continue (see ${LOG[$id]})"
done

if ((${#FROM[@]} > 0)); then
  for ((id = 2; id <= ${NODES:-3}; id++)); do
    "$(dirname "${BASH_SOURCE[0]}")/add.sh" --dir "$DIR" >/dev/null \
      || fail "the backup is restored, and node $id was not added: cluster-scripts/add.sh --dir $DIR"
  done
  read_cluster
fi

servers=
for id in "${IDS[@]}"; do
  printf 'node %s  %s  process %s\n' "$id" "${API[$id]}" "${PID[$id]}"
  servers+=${servers:+,}${API[$id]}
done
cat <<TEXT

Ready. The admin key is in $DIR/cluster.json. Next, for instance:
  export ETEBAR_SERVER=$servers
  export ETEBAR_KEY=\$(sed -n 's/.*"admin_key": "\(.*\)".*/\1/p' $DIR/cluster.json)
  $CLIENT_PROGRAM sellers create 'Corner shop'
  $CLIENT_PROGRAM cluster status
  curl -s ${OPS[${IDS[0]}]}/metrics
TEXT
if ((${#FROM[@]} > 0)); then
  cat <<TEXT

The ledger is on hold: every write is refused. Look at what it lost, then let it sell again:
  $CLIENT_PROGRAM cluster open
TEXT
fi
