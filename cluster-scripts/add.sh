#!/usr/bin/env bash
# add.sh [--dir DIR]
#
# Adds a new node to the running cluster in DIR (./data/local unless given), waits until it votes, and prints its id alone. The
# cluster gives the number; the node serves the API, its peers and operators on the next free ports after those of up.sh, on
# 127.0.0.1 alone. cluster.json follows. After an interruption, run it again: it continues with the node that it began to add.
# ETEBAR_ADD_SECONDS (600) is how long the node may take to catch up.
#
# Example: cluster-scripts/add.sh --dir /tmp/shop
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ADD_SECONDS=${ETEBAR_ADD_SECONDS:-600}
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) help ;;
    --dir) DIR=$(value_of "$1" "$@"); shift 2 ;;
    *) wrong_usage "unknown argument $1" ;;
  esac
done
[[ $ADD_SECONDS =~ ^[1-9][0-9]{0,5}$ ]] || wrong_usage "ETEBAR_ADD_SECONDS is a number of seconds, not $ADD_SECONDS"

# Sets NEW_API and NEW_PEER: those of an addition that was interrupted, or the next ports of up.sh's scheme that are free. The
# cluster gives the number later; that it is not the one of the ports does not matter.
choose_addresses() {
  local next id api peer ops first=${IDS[0]} known=" ${API[*]} ${PEER[*]} ${OPS[*]} "
  if [[ -f $DIR/.adding ]]; then
    read -r NEW_API NEW_PEER <"$DIR/.adding" && [[ -n $NEW_API && -n $NEW_PEER ]] && return 0
    rm -f "$DIR/.adding" # cut short: nobody was told of it
  fi
  next=$(highest_id)
  for ((id = next + 1; id <= next + 200; id++)); do
    api=127.0.0.1:$((${API[$first]##*:} - first + id)) peer=127.0.0.1:$((${PEER[$first]##*:} - first + id))
    ops=$(ops_beside "$api")
    ((${ops##*:} <= 65535 && ${peer##*:} <= 65535)) || break
    # A node that is stopped has its ports all the same.
    [[ $known != *":${api##*:} "* && $known != *":${peer##*:} "* && $known != *":${ops##*:} "* ]] || continue
    [[ $api != "$peer" && ${ops##*:} != "${peer##*:}" ]] || continue
    if ! port_is_free 127.0.0.1 "${api##*:}" || ! port_is_free 127.0.0.1 "${peer##*:}"; then continue; fi
    port_is_free 127.0.0.1 "${ops##*:}" || continue
    NEW_API=$api NEW_PEER=$peer
    # Written first, so that an addition that is interrupted is found again by its addresses.
    printf '%s %s\n' "$NEW_API" "$NEW_PEER" >"$DIR/.adding.new"
    mv "$DIR/.adding.new" "$DIR/.adding"
    return 0
  done
  fail "there are no free ports for another node after those of the cluster in $DIR"
}

# The highest number of a node that is, or was, in DIR.
highest_id() {
  local id path highest=0
  for id in "${IDS[@]}"; do ((id <= highest)) || highest=$id; done
  for path in "$DIR"/node-* "$DIR"/pki/node-*.pem; do
    [[ ${path##*/} =~ ^node-([1-9][0-9]*)(\.pem)?$ ]] || continue
    ((BASH_REMATCH[1] <= highest)) || highest=${BASH_REMATCH[1]}
  done
  printf '%s' "$highest"
}

# Makes the data directory of node $1, or finds it made.
join_cluster() {
  local seeds=() id
  for id in "${IDS[@]}"; do [[ $id == "$1" ]] || seeds+=("${PEER[$id]}"); done
  "$(program_of "$1")" join --data-dir "${DATA[$1]}" --id "$1" --cluster-id "$(cluster_id)" --seed "${seeds[@]}" \
    --peer-ca "$DIR/pki/ca.pem" --peer-cert "$DIR/pki/node-$1.pem" --peer-key "$DIR/pki/node-$1.key" \
    >>"${LOG[$1]}" 2>&1 9>&- || fail "node $1 was added, but could not join: $(tail -n 1 "${LOG[$1]}")"
}

# Has node $1 made a voter, once it has caught up.
promote() {
  local deadline=$((SECONDS + ADD_SECONDS)) said code
  until said=$(client --json members promote "$1" 2>&1); do
    code=$?
    # Behind, or asked where no leader was known just now. Everything else stays as it is.
    [[ $code == 3 || $said == *member_behind* ]] || fail "node $1 is no voter yet: $said"
    running_pid "$1" >/dev/null || fail "node $1 ended: $(tail -n 1 "${LOG[$1]}")"
    ((SECONDS < deadline)) || fail "node $1 is no voter after $ADD_SECONDS s (run add.sh again to go on waiting): $said"
    sleep 0.2
  done
}

open_cluster
build_programs
lock_cluster
read_cluster # a script that held the lock may have changed it
choose_addresses
LINE=$(client --json members add --api "$NEW_API" --peer "$NEW_PEER" 2>&1) || {
  # Where it may have been added, the next run asks with the same addresses.
  [[ $? == 3 ]] || rm -f "$DIR/.adding"
  fail "no node was added: $LINE"
}
ID=$(field id "$LINE") || fail "no node was added: $LINE"
if [[ ! -v API[$ID] ]]; then
  API[$ID]=http://$NEW_API PEER[$ID]=$NEW_PEER PID[$ID]=0 DATA[$ID]=$DIR/node-$ID LOG[$ID]=$DIR/node-$ID.log
  OPS[$ID]=$(ops_beside "${API[$ID]}")
  make_certificate "$ID"
  join_cluster "$ID"
  IDS+=("$ID")
fi
if pid=$(running_pid "$ID"); then
  kill -s CONT "$pid"
  PID[$ID]=$pid
else
  launch "$ID"
fi
write_cluster
unlock_cluster
wait_answer "$ID" /livez || fail "node $ID did not start (see ${LOG[$ID]})"
promote "$ID"
rm -f "$DIR/.adding"
printf '%s\n' "$ID"
