#!/usr/bin/env bash
# up.sh [--nodes 3] [--dir DIR] [--port 7100]
#
# Starts a local cluster of real processes and waits until every node is ready. Where DIR (./data/local unless given) is
# absent or empty, a new cluster is made; where it holds one, that one is started again, whatever was left of its processes.
# Node N serves the API on port + N and its peers on port + 20 + N, on 127.0.0.1 alone. DIR/cluster.json has the addresses
# and the first admin key, DIR/pki the authority and the certificates that nodes prove their numbers with. Settings in the
# environment (ETEBAR_CURRENCY, ETEBAR_LOG_BYTES, …) reach every node.
#
# Example: cluster-scripts/up.sh --dir /tmp/shop --port 8100
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

NODES='' PORT=''
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) help ;;
    --nodes) NODES=$(value_of "$1" "$@"); shift 2 ;;
    --dir) DIR=$(value_of "$1" "$@"); shift 2 ;;
    --port) PORT=$(value_of "$1" "$@"); shift 2 ;;
    *) wrong_usage "unknown argument $1" ;;
  esac
done
[[ -z $NODES || $NODES =~ ^[1-9]$ ]] || wrong_usage "--nodes is 1 to 9, not $NODES"
[[ -z $PORT || $PORT =~ ^[1-9][0-9]{0,4}$ && $PORT -le 65000 ]] || wrong_usage "--port is 1 to 65000, not $PORT"
DIR=$(realpath -m "$DIR")
[[ $DIR != *[\"\\$'\n\t']* ]] || wrong_usage "--dir may hold no quote, backslash, tab or line break"

# Makes the data directories of a new cluster and its cluster.json, in which nothing runs yet.
create() {
  local id line cluster taken members=()
  local nodes=${NODES:-3} port=${PORT:-7100}
  for ((id = 1; id <= nodes; id++)); do
    for taken in $((port + id)) $((port + 20 + id)); do
      port_is_free 127.0.0.1 "$taken" || fail "port $taken is taken (--port chooses others)"
    done
    members+=(--member "$id=127.0.0.1:$((port + id))/127.0.0.1:$((port + 20 + id))")
  done
  trap 'rm -rf "${DIR:?}"/node-[1-9] "${DIR:?}"/node-[1-9].log "${DIR:?}"/pki' EXIT # a half-made cluster would only be in the way
  line=$("$NODE_PROGRAM" keygen) || fail "etebar-node keygen failed"
  ADMIN_KEY=$(field key "$line")
  cluster=$(</proc/sys/kernel/random/uuid)
  declare -gA API=() PEER=() PID=() DATA=() LOG=()
  IDS=()
  for ((id = 1; id <= nodes; id++)); do
    IDS+=("$id")
    API[$id]=http://127.0.0.1:$((port + id)) PEER[$id]=127.0.0.1:$((port + 20 + id)) PID[$id]=0 DATA[$id]=$DIR/node-$id LOG[$id]=$DIR/node-$id.log
    "$NODE_PROGRAM" init --data-dir "${DATA[$id]}" --id "$id" --cluster-id "$cluster" "${members[@]}" \
      --admin-key-hash "$(field hash "$line")" >>"${LOG[$id]}" 2>&1 || fail "init of node $id: $(tail -n 1 "${LOG[$id]}")"
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
TEXT
