#!/usr/bin/env bash
# What the scripts of this folder share: programs, cluster.json, processes, small HTTP.
#
# Needs bash, coreutils, sed and util-linux (setsid, flock) alone, all of them on every Debian: a newcomer without root, who
# can install nothing, runs demo.sh with Rust and a linker. So there is neither curl nor jq. cluster.json is written here only,
# always whole and in one fixed layout, so that sed can read it. A process is ours only if its command line says so:
# a recorded number may belong to another process by now, so no signal goes out before /proc was asked.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TARGET=$(realpath -m "${CARGO_TARGET_DIR:-$ROOT/target}")
NODE_PROGRAM=$TARGET/release/etebar-node
CLIENT_PROGRAM=$TARGET/release/etebar
DIR=./data/local
SCRIPT=$(basename "$0")

# How long a node may take to answer after its start, and to end after SIGTERM, in seconds. A node replays its history before
# it answers, which takes a second for about a million charges.
START_SECONDS=${ETEBAR_START_SECONDS:-60}
STOP_SECONDS=15

say() { printf '%s\n' "$*" >&2; }
fail() { say "$SCRIPT: $*"; exit 1; }
wrong_usage() { say "$SCRIPT: $* (see $SCRIPT --help)"; exit 2; }

# The value of an option that must have one: `value_of --dir "$@"`.
value_of() {
  [[ $# -ge 3 && -n $3 ]] || wrong_usage "$1 needs a value"
  printf '%s' "$3"
}

# Prints the comment at the head of the running script, which is its help.
help() {
  sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"
  exit 0
}

# Reads `[ID|leader] [--dir DIR]` into TARGET_ID and DIR.
parse_node_and_dir() {
  TARGET_ID=
  while [[ $# -gt 0 ]]; do
    case $1 in
      --help | -h) help ;;
      --dir) DIR=$(value_of "$1" "$@"); shift 2 ;;
      -*) wrong_usage "unknown option $1" ;;
      *)
        [[ -z $TARGET_ID ]] || wrong_usage "one node at a time, not also $1"
        [[ $1 == leader || $1 =~ ^[1-9][0-9]*$ ]] || wrong_usage "a node is a number or the word leader, not $1"
        TARGET_ID=$1
        shift
        ;;
    esac
  done
  [[ -n $TARGET_ID ]] || wrong_usage "which node?"
}

# ---- Debian's packages ----------------------------------------------------------------------------------------------

# True where a program is installed, or where a file matches, if a pattern with a slash is given.
has_tool() {
  case $1 in
    */*) compgen -G "$1" >/dev/null ;;
    # Where a user's PATH lacks them, programs for administrators are still there.
    *) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ;;
  esac
}

# Installs these packages, as root, and says so.
install_packages() {
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@") log
  command -v apt-get >/dev/null || fail "please install these packages, or what your system calls them: $*"
  say "$SCRIPT: installing $*"
  log=$(mktemp "${TMPDIR:-/tmp}/etebar-install.XXXXXX")
  # The lists may be absent on a fresh machine, or name versions that are gone.
  "${install[@]}" >"$log" 2>&1 || { apt-get update -q && "${install[@]}"; } >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    rm -f "$log"
    fail "these packages could not be installed: $*"
  }
  rm -f "$log"
}

# install_python NAME VERSION PROGRAM [PACKAGE...]: installs a Python package in a fixed version (or these packages) into an
# environment of its own, target/tools/python-NAME-VERSION, where it has no such program yet. Fails where that cannot be done.
install_python() {
  local place=$TARGET/tools/python-$1-$2 packages=("${@:4}")
  ((${#packages[@]} > 0)) || packages=("$1==$2")
  [[ ! -x $place/bin/$3 ]] || return 0
  rm -rf "$place" # one that was cut short
  if python3 -m venv "$place" >/dev/null 2>&1 && timeout 180 "$place/bin/pip" install --quiet "${packages[@]}" >/dev/null 2>&1
  then return 0; fi
  rm -rf "$place"
  return 1
}

# ---- programs -------------------------------------------------------------------------------------------------------

# Builds the two programs where one is missing or older than its source.
build_programs() {
  if [[ -x $NODE_PROGRAM && -x $CLIENT_PROGRAM ]] && ! sources_newer; then return 0; fi
  PATH=$PATH:$HOME/.cargo/bin
  command -v cargo >/dev/null || fail "$TARGET/release lacks a program and cargo is not installed (see https://rustup.rs)"
  has_tool make || install_packages make # for the allocator of the node
  say "building etebar-node and etebar (some minutes the first time)"
  (cd "$ROOT" && cargo build --release --locked -p etebar-node -p etebar-cli >&2) || fail "the build failed"
}

# Prints the program that node $1 is started as: what upgrade.sh gave this node, or all of them, or else that of this folder.
program_of() {
  local program
  for program in "$DIR/builds/node-$1/etebar-node" "$DIR/builds/all/etebar-node" "$NODE_PROGRAM"; do
    [[ ! -x $program ]] || break
  done
  printf '%s' "$program"
}

sources_newer() {
  [[ -n $(find "$ROOT/node" "$ROOT/client" "$ROOT/Cargo.lock" -newer "$NODE_PROGRAM" \
    \( -path '*/src/*' -o -name Cargo.toml -o -name Cargo.lock \) -type f -print -quit) ]]
}

# ---- cluster.json ---------------------------------------------------------------------------------------------------

# Makes DIR absolute and reads DIR/cluster.json into ADMIN_KEY, IDS, API[id], PEER[id], OPS[id], PID[id], DATA[id], LOG[id].
open_cluster() {
  DIR=$(realpath -m "$DIR")
  [[ -f $DIR/cluster.json ]] || fail "there is no cluster in $DIR (up.sh --dir $DIR makes one)"
  read_cluster
}

read_cluster() {
  declare -gA API=() PEER=() OPS=() PID=() DATA=() LOG=()
  IDS=()
  ADMIN_KEY=$(sed -n 's/^  "admin_key": "\([^"]*\)",$/\1/p' "$DIR/cluster.json")
  local id api peer ops pid data log
  while IFS=$'\t' read -r id api peer ops pid data log; do
    IDS+=("$id")
    API[$id]=$api PEER[$id]=${peer#-} OPS[$id]=${ops#-} PID[$id]=$pid DATA[$id]=$data LOG[$id]=$log
    [[ -n ${OPS[$id]} ]] || OPS[$id]=$(ops_beside "$api")
    # An earlier up.sh did not write it: peers are on the port 20 above.
    [[ -n ${PEER[$id]} ]] || { api=${api#http://} PEER[$id]=${api%:*}:$((${api##*:} + 20)); }
  done < <(sed -n 's/^    {"id": \([0-9]*\), "api": "\([^"]*\)",\( "peer": "\([^"]*\)",\)\{0,1\}\( "ops": "\([^"]*\)",\)\{0,1\} "pid": \([0-9]*\), "data_dir": "\([^"]*\)", "log": "\([^"]*\)"},\{0,1\}$/\1\t\2\t-\4\t-\6\t\7\t\8\t\9/p' "$DIR/cluster.json")
  [[ -n $ADMIN_KEY && ${#IDS[@]} -gt 0 ]] || fail "$DIR/cluster.json is not as up.sh writes it; nothing was changed"
}

# Writes ADMIN_KEY, IDS, API, PEER, OPS, PID, DATA, LOG to DIR/cluster.json: readable by the owner alone, whole or not at all.
write_cluster() {
  local new id comma=
  new=$(mktemp "$DIR/.cluster.json.XXXXXX") # mktemp makes it with mode 0600
  {
    printf '{\n  "admin_key": "%s",\n  "nodes": [' "$ADMIN_KEY"
    for id in "${IDS[@]}"; do
      printf '%s\n    {"id": %s, "api": "%s", "peer": "%s", "ops": "%s", "pid": %s, "data_dir": "%s", "log": "%s"}' \
        "$comma" "$id" "${API[$id]}" "${PEER[$id]}" "${OPS[$id]}" "${PID[$id]}" "${DATA[$id]}" "${LOG[$id]}"
      comma=,
    done
    printf '\n  ]\n}\n'
  } >"$new"
  mv "$new" "$DIR/cluster.json"
}

# ops_beside API: where the node of that API serves operators, by the layout of up.sh: on the port 40 above.
ops_beside() { printf 'http://127.0.0.1:%s' "$((${1##*:} + 40))"; }

known_node() { [[ -v API[$1] ]] || fail "the cluster in $DIR has no node $1 (it has ${IDS[*]})"; }

# ---- certificates ---------------------------------------------------------------------------------------------------

# Makes what is missing of DIR/pki: an authority, and a certificate for each node. Call with the lock held. A node whose
# certificate is there needs no authority's key, so that may be kept elsewhere.
make_certificates() {
  local id
  for id in "${IDS[@]}"; do make_certificate "$id"; done
}

# The same for node $1 alone.
make_certificate() {
  local cluster said
  [[ ! -f $DIR/pki/node-$1.pem || ! -f $DIR/pki/node-$1.key ]] || return 0
  cluster=$(cluster_id)
  said=$("$NODE_PROGRAM" pki ca --dir "$DIR/pki" 2>&1) || fail "the authority: $said"
  said=$("$NODE_PROGRAM" pki node --dir "$DIR/pki" --cluster-id "$cluster" --id "$1" --host "${PEER[$1]%:*}" 2>&1) \
    || fail "the certificate of node $1: $said"
}

# Prints the cluster's id, as a node's data directory has it.
cluster_id() {
  local id cluster
  for id in "${IDS[@]}"; do
    [[ -f ${DATA[$id]}/identity.json ]] || continue
    # It is indented JSON.
    cluster=$(sed -n 's/^ *"cluster": "\([0-9a-f-]*\)",\{0,1\}$/\1/p' "${DATA[$id]}/identity.json" | head -n 1)
    [[ -z $cluster ]] || { printf '%s' "$cluster"; return 0; }
  done
  fail "no data directory in $DIR names the cluster"
}

# One script at a time starts nodes and writes cluster.json. Held until `unlock_cluster` or the end of the script.
lock_cluster() {
  exec 9>"$DIR/.lock"
  flock -w 30 9 || fail "another script has been changing the cluster in $DIR for 30 s"
}
unlock_cluster() { exec 9>&-; }

# ---- processes ------------------------------------------------------------------------------------------------------

# True where process $1 is an etebar-node that serves data directory $2. A zombie has no command line, so it is not.
is_node() {
  local -a words=()
  [[ -r /proc/$1/cmdline ]] || return 1
  mapfile -d '' -t words 2>/dev/null <"/proc/$1/cmdline" || return 1
  [[ ${#words[@]} -gt 2 && ${words[0]##*/} == etebar-node ]] || return 1
  local word
  for word in "${words[@]}"; do [[ $word == "$2" ]] && return 0; done
  return 1
}

# Prints the process number of node $1; fails where it does not run. The recorded number is tried first; after a crash
# between start and record, the process is found by its command line.
running_pid() {
  local pid=${PID[$1]} entry
  if [[ $pid != 0 ]] && is_node "$pid" "${DATA[$1]}"; then
    printf '%s' "$pid"
    return 0
  fi
  for entry in /proc/[0-9]*; do
    if is_node "${entry#/proc/}" "${DATA[$1]}"; then
      printf '%s' "${entry#/proc/}"
      return 0
    fi
  done
  return 1
}

# True where process $1, one of ours, holds nothing any more. One that is ending has no command line already, but its files
# are still open, and the lock of its data directory with them.
is_over() {
  local state threads
  state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p; s/^Threads:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null) || return 0
  threads=${state#*$'\n'} state=${state%%$'\n'*}
  # The first thread can be dead before the others, which still hold the data directory.
  [[ -z $state || ( $state == [ZX] && $threads -le 1 ) ]] && return 0
  [[ -n $(tr -d "\0" 2>/dev/null <"/proc/$1/cmdline") ]] && ! is_node "$1" "$2"
}

# True where process $1 is stopped by SIGSTOP.
is_paused() {
  local state
  state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 1
  [[ $state == T ]]
}

# Sends signal $1 to node $2; fails where it does not run.
signal_node() {
  local pid
  pid=$(running_pid "$2") || return 1
  kill -s "$1" "$pid" 2>/dev/null
}

# Starts node $1 in a session of its own, without our pipes, terminal and lock; sets PID[$1]. Call with the lock held.
launch() {
  local files=()
  [[ -z ${ETEBAR_API_CERT-}${ETEBAR_API_KEY-} ]] || fail 'these scripts ask nodes over plain http on loopback: unset ETEBAR_API_CERT and ETEBAR_API_KEY'
  wait_gone "$1" 5 || fail "node $1 is ending, but does not end"
  printf -- '--- started %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >>"${LOG[$1]}"
  # By variables, which an older build does not mind.
  files=("ETEBAR_PEER_CA=$DIR/pki/ca.pem" "ETEBAR_PEER_CERT=$DIR/pki/node-$1.pem" "ETEBAR_PEER_KEY=$DIR/pki/node-$1.key"
    "ETEBAR_OPS_LISTEN=${OPS[$1]#http://}")
  setsid env "${files[@]}" "$(program_of "$1")" run --data-dir "${DATA[$1]}" --id "$1" </dev/null >>"${LOG[$1]}" 2>&1 9>&- &
  PID[$1]=$!
  disown # else bash reports when it is killed
}

# Waits until node $1 answers path $2 with 200; fails where its process ends first or START_SECONDS are over.
wait_answer() {
  local deadline=$((SECONDS + START_SECONDS))
  until http_get "${API[$1]}" "$2" >/dev/null; do
    # A child that is still on its way to exec has our own command line, and runs.
    if ! running_pid "$1" >/dev/null && ! kill -0 "${PID[$1]}" 2>/dev/null; then
      say "node $1 ended: $(tail -n 1 "${LOG[$1]}")"
      return 1
    fi
    if ((SECONDS >= deadline)); then
      say "node $1 does not answer $2 after $START_SECONDS s: $(http_get "${API[$1]}" "$2" || true)"
      return 1
    fi
    sleep 0.05
  done
}

# Waits at most $2 seconds until node $1 does not run and its data directory is free.
wait_gone() {
  local deadline=$((SECONDS + $2)) pid
  pid=$(running_pid "$1") || pid=${PID[$1]}
  until [[ $pid == 0 ]] || is_over "$pid" "${DATA[$1]}"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.02
  done
}

# Ends the nodes given in an orderly way, all at once; one that does not end in time is killed, and that is said.
stop_nodes() {
  local id
  for id in "$@"; do
    if signal_node TERM "$id"; then signal_node CONT "$id" || true; fi # a paused one takes TERM only then
  done
  for id in "$@"; do
    wait_gone "$id" "$STOP_SECONDS" && continue
    say "node $id did not end within $STOP_SECONDS s and was killed"
    signal_node KILL "$id" || true
    wait_gone "$id" 5 || say "node $id cannot be killed"
  done
}

# ---- recorded load --------------------------------------------------------------------------------------------------

# A whole number with its thousands set off.
grouped() {
  local left=$1 out=
  while [[ ${#left} -gt 3 ]]; do out=,${left: -3}$out left=${left:0:-3}; done
  printf '%s' "$left$out"
}

# Milliseconds since the Unix epoch, as in the records of `etebar load`.
now_ms() { printf '%s' "$((${EPOCHREALTIME/[.,]/} / 1000))"; }

# mark FROM_MS UNTIL_MS WHAT: something that was done to the cluster, for the drawing; written to $WORK/marks.
mark() { printf '{"at_ms":%s,"until_ms":%s,"what":"%s"}\n' "$1" "$2" "$3" >>"$WORK/marks"; }

# Sets ANSWERS to the number of answers in the files $WORK/record-*, reading only what was added since it was last called.
declare -A READ=()
ANSWERS=0
count_answers() {
  local file lines bytes
  for file in "$WORK"/record-*; do
    [[ -f $file ]] || continue
    read -r lines bytes < <(tail -c "+$((${READ[$file]:-0} + 1))" "$file" | wc -lc)
    ANSWERS=$((ANSWERS + lines)) READ[$file]=$((${READ[$file]:-0} + bytes))
  done
}

# ---- the client program ---------------------------------------------------------------------------------------------

# client ARGUMENTS…: the client program as the admin, through any node of the cluster.
client() { client_without '' "$@"; }

# client_without ID ARGUMENTS…: the same through any node but that one, where there is another.
client_without() {
  local id urls='' without=$1
  shift
  for id in "${IDS[@]}"; do [[ $id == "$without" ]] || urls+=${urls:+,}${API[$id]}; done
  ETEBAR_SERVER=${urls:-${API[$without]}} ETEBAR_KEY=$ADMIN_KEY "$CLIENT_PROGRAM" "$@" 9>&-
}

# ---- HTTP -----------------------------------------------------------------------------------------------------------

# True where nobody listens on port $2 of host $1.
port_is_free() { ! (exec 8<>"/dev/tcp/$1/$2") 2>/dev/null; }

# http_get URL PATH [KEY]: prints the body; succeeds for a 200 within 2 s alone. The key is on no command line.
http_get() (
  authority=${1#http://} status='' line='' body=''
  exec 8<>"/dev/tcp/${authority%:*}/${authority##*:}" || exit 1
  {
    printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n' "$2" "$authority"
    [[ -z ${3-} ]] || printf 'Authorization: Bearer %s\r\n' "$3"
    printf '\r\n'
  } >&8
  read -r -t 2 status <&8 || exit 1
  while IFS= read -r -t 2 line <&8 && [[ -n ${line%$'\r'} ]]; do :; done
  IFS= read -r -t 2 -d '' body <&8 || true # fails at the end of the stream, as it should
  printf '%s' "$body"
  [[ $status == 'HTTP/1.'?' 200'* ]]
) 2>/dev/null

# field NAME TEXT: the first number or string under that name in one JSON text.
field() {
  if [[ $2 =~ \"$1\":[[:space:]]*\"([^\"]*)\" || $2 =~ \"$1\":[[:space:]]*(-?[0-9]+|true|false|null) ]]; then
    printf '%s' "${BASH_REMATCH[1]}"
  else
    return 1
  fi
}

# Prints the id of the leader: a running node that says so itself; of two, the one with the higher term, since a leader
# that was paused does not know yet that it was replaced. Fails where there is none now.
leader_now() {
  local id pid text term best=-1 leader=
  for id in "${IDS[@]}"; do
    pid=$(running_pid "$id") || continue
    if is_paused "$pid"; then continue; fi
    text=$(http_get "${API[$id]}" /v1/cluster "$ADMIN_KEY") || continue
    [[ $(field leader "$text") == "$id" ]] || continue
    term=$(field term "$text") || continue
    if ((term > best)); then best=$term leader=$id; fi
  done
  [[ -n $leader ]] && printf '%s' "$leader"
}

# Turns `leader` in TARGET_ID into a number, waiting up to 10 s for a leader; checks that the node exists.
resolve_node() {
  if [[ $TARGET_ID == leader ]]; then
    local deadline=$((SECONDS + 10))
    until TARGET_ID=$(leader_now); do
      ((SECONDS < deadline)) || fail "no leader within 10 s"
      sleep 0.05
    done
  fi
  known_node "$TARGET_ID"
}

# start_load NUMBER SECONDS: a process that charges through SERVERS as fast as CONNECTIONS tasks can, for the sellers in
# WORK/sellers; each answer goes to WORK/record-NUMBER. Sets LOAD_PID, which is the load itself and no shell around it:
# ending it ends the load.
start_load() {
  (
    export ETEBAR_KEY=$ADMIN_KEY
    exec "$CLIENT_PROGRAM" --server "$SERVERS" --json load --sellers-file "$WORK/sellers" --processes-tag "$1" \
      --seconds "$2" --connections "$CONNECTIONS" --record "$WORK/record-$1" >"$WORK/load-$1"
  ) &
  # shellcheck disable=SC2034 # for the caller
  LOAD_PID=$!
}
