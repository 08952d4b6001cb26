#!/usr/bin/env bash
# chaos.sh [--seconds N] [--seed N] [--nodes 3] [--faults A,B] [--svg FILE] [--previous PROGRAM | --previous-commit REV]
# chaos.sh --list
#
# Breaks a cluster of its own on purpose, under load, for N seconds (60): its processes, network, disks, clocks and data, and
# with an older build at hand its version. After each fault it waits until charges go through again. Then it checks every
# promise against every answer that was given, and tells how long each fault stopped charges. Every fault comes once before any
# comes again, in an order that follows --seed; without one, a seed is drawn and printed. --faults names those to draw from,
# --list prints them all.
#
# Partitions and delays need root, ip and nft (Debian: iproute2, nftables), faults of disks need mount and mkfs.ext4 (mount,
# e2fsprogs) and cc, clocks need libfaketime; where one is missing, that is said and the rest is done. --previous is the
# etebar-node of an older build with the same data format, --previous-commit builds one (minutes); it must speak TLS to its
# peers (peer link 3 or later), else that is said and the rest is done. All networks are
# namespaces of this script's own.
#
# Exits 0 where everything held, 4 where a promise was broken, 3 where charges did not come back, 1 where too little happened.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$HERE/chaos/process.sh"
source "$HERE/chaos/network.sh"
source "$HERE/chaos/disk.sh"
source "$HERE/chaos/clock.sh"
CONNECTIONS=8 LOADS=2
# How long charges may stay out after a fault is healed, in seconds. Source: an election with two failed rounds takes 2 s; a
# start after a power cut recovers a file system and folds the history.
BACK_SECONDS=30
# The most that a last fault and its end may take beyond the time asked for. Source: to take all members to an older build and
# back is six starts, each of which reads the whole history: 50 s with 3.4 million entries.
LAST_FAULT_SECONDS=600
PROXY_PROGRAM=$TARGET/release/delay-proxy SHIM=$TARGET/shim/chaos_disk_faults.so
ALL_FAULTS=(kill_one kill_most kill_all pause_one restart_one upgrade_all cut_off cut_most deafen mute flap lose delay set_clock
  cut_power fill_disk stall_disk slow_disk fail_sync tear_write damage_log damage_history wipe)
SECONDS_ALL=60 SEED='' NODES=3 SVG=./data/chaos.svg INSIDE='' WANTED='' PREVIOUS='' PREVIOUS_COMMIT=''
GIVEN=("$@")
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) help ;;
    --list) printf '%s\n' "${ALL_FAULTS[@]}"; exit 0 ;;
    --seconds) SECONDS_ALL=$(value_of "$1" "$@"); shift 2 ;;
    --seed) SEED=$(value_of "$1" "$@"); shift 2 ;;
    --nodes) NODES=$(value_of "$1" "$@"); shift 2 ;;
    --faults) WANTED=$(value_of "$1" "$@"); shift 2 ;;
    --svg) SVG=$(value_of "$1" "$@"); shift 2 ;;
    --previous) PREVIOUS=$(value_of "$1" "$@"); shift 2 ;;
    --previous-commit) PREVIOUS_COMMIT=$(value_of "$1" "$@"); shift 2 ;;
    --inside) INSIDE=yes; shift ;;
    *) wrong_usage "unknown argument $1" ;;
  esac
done
[[ $SECONDS_ALL =~ ^[1-9][0-9]{0,4}$ && $SECONDS_ALL -le 80000 ]] || wrong_usage "--seconds is 1 to 80000, not $SECONDS_ALL"
[[ -z $SEED || $SEED =~ ^[0-9]{1,9}$ ]] || wrong_usage "--seed is a number of at most 9 digits, not $SEED"
[[ $NODES =~ ^[35]$ ]] || wrong_usage "--nodes is 3 or 5, not $NODES"
for fault in ${WANTED//,/ }; do
  [[ " ${ALL_FAULTS[*]} " == *" $fault "* ]] || wrong_usage "--faults: there is no fault $fault (--list prints them)"
done
[[ -z $PREVIOUS || (-x $PREVIOUS && ${PREVIOUS##*/} == etebar-node) ]] || wrong_usage "--previous is the path of an etebar-node, not $PREVIOUS"
SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}
SVG=$(realpath -m "$SVG")
mkdir -p "$(dirname "$SVG")" || fail "--svg: there is no place for $SVG"

# ---- the worlds -----------------------------------------------------------------------------------------------------

# True where all these programs are installed; `command -v` itself is content with one of several.
have() { local program; for program in "$@"; do command -v "$program" >/dev/null || return 1; done; }
can_partition() { [[ $(id -u) == 0 ]] && have ip nft unshare && unshare --net --mount true 2>/dev/null; }
can_break_disks() { [[ $(id -u) == 0 ]] && have mkfs.ext4 mount perl && [[ -e /dev/loop-control ]]; }
# True where this run draws one of these faults.
wants() { local fault; for fault in "$@"; do [[ -z $WANTED || ,$WANTED, == *",$fault,"* ]] && return 0; done; return 1; }

# Sets PREVIOUS to the node of commit $1, built into a folder of its own that later runs find.
build_previous() {
  local commit folder
  commit=$(git -C "$ROOT" rev-parse --verify --quiet "$1^{commit}") || wrong_usage "--previous-commit: there is no commit $1"
  folder=$TARGET/previous/$commit
  PREVIOUS=$folder/target/release/etebar-node
  [[ -x $PREVIOUS ]] && return 0
  say "building etebar-node of commit $commit (some minutes)"
  mkdir -p "$folder"
  git -C "$ROOT" archive "$commit" | tar -x -C "$folder" || fail "commit $commit cannot be read"
  (cd "$folder" && PATH=$PATH:$HOME/.cargo/bin cargo build --quiet --release --locked --target-dir target -p etebar-node >&2) || fail "commit $commit does not build"
}

# What is built beside the two programs, where it is needed and missing or old.
build_helpers() {
  if can_partition && wants delay; then
    (cd "$ROOT" && PATH=$PATH:$HOME/.cargo/bin cargo build --quiet --release --locked -p tests --bin delay-proxy >&2) || fail 'the proxy does not build'
  fi
  if have cc; then
    mkdir -p "$(dirname "$SHIM")"
    cc -shared -fPIC -O2 -o "$SHIM.$$" "$ROOT/tests/shim/disk_faults.c" -ldl || fail 'the library of disk faults does not build'
    mv "$SHIM.$$" "$SHIM"
  fi
}

# In a network and a mount namespace of its own nothing of this reaches the machine's, and all of it ends with this script.
if [[ -z $INSIDE ]]; then
  build_programs
  build_helpers
  [[ -z $PREVIOUS_COMMIT ]] || build_previous "$PREVIOUS_COMMIT"
  if can_partition; then
    exec unshare --net --mount --propagation private "$HERE/$SCRIPT" "${GIVEN[@]}" --inside --seed "$SEED" --svg "$SVG" ${PREVIOUS:+--previous "$PREVIOUS"}
  fi
  say 'NO PARTITIONS AND NO DELAYS: they need root, ip and nft.'
fi

unset ETEBAR_SERVER ETEBAR_KEY
WORK=$(mktemp -d "${TMPDIR:-/tmp}/etebar-chaos.XXXXXX")
DIR=$WORK/cluster
PIDS=() PROXIES=()
PORT=7100
[[ -n $INSIDE ]] || PORT=$((20000 + $$ % 100 * 100))

clean_up() {
  local status=$? pid id
  trap - EXIT
  for pid in "${PIDS[@]}" "${PROXIES[@]}"; do kill "$pid" 2>/dev/null || true; done # only what this script started and not yet waited for
  if [[ -f $DIR/cluster.json ]]; then
    for id in "${!API[@]}"; do signal_member KILL "$id" || true; done
    for id in "${!API[@]}"; do wait_gone "$id" 5 || say "member $id cannot be killed"; done
  fi
  if [[ $status != 0 && -f $DIR/cluster.json ]]; then
    KEPT=$(mktemp -d "${TMPDIR:-/tmp}/etebar-chaos-kept.XXXXXX")
    cp -a "$WORK/marks" "$DIR"/*.log "$WORK"/record-* "$KEPT" 2>/dev/null || true
    say "kept for a look: $KEPT"
  fi
  for id in "${!API[@]}"; do umount -l "$DIR/node-$id" 2>/dev/null || true; done
  rm -rf "${WORK:?}"
  exit "$status"
}
declare -A API=()
trap clean_up EXIT
trap 'exit 130' INT TERM

# What a member runs with, so that its disk and its clock can be made to go wrong.
member_environment() {
  local preload=()
  if [[ -n $CAN_DISK_FAULTS ]]; then
    preload+=("$SHIM")
    printf 'DISK_FAULT_FILE=%s\n' "$WORK/fault-$1"
  fi
  if [[ -n $FAKETIME ]]; then
    preload+=("$FAKETIME")
    [[ -f $WORK/clock-$1 ]] || printf '+0\n' >"$WORK/clock-$1"
    printf '%s\n' "FAKETIME_TIMESTAMP_FILE=$WORK/clock-$1" FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1
  fi
  ((${#preload[@]} == 0)) || (IFS=:; printf 'LD_PRELOAD=%s\n' "${preload[*]}")
}

# ---- faults ---------------------------------------------------------------------------------------------------------

# draw COUNT: sets DRAWN to a number from 0 to COUNT - 1, by the seed alone. Not by RANDOM, which other things use.
DICE=$SEED
draw() {
  DICE=$(((DICE * 1103515245 + 12345) & 0x7fffffff))
  DRAWN=$(((DICE >> 16) % $1))
}

# Sets VICTIM to the leader, or in one case of three to a member by chance.
pick() {
  draw 3
  if ((DRAWN == 0)); then
    draw "${#IDS[@]}"
    VICTIM=${IDS[$DRAWN]}
  else
    TARGET_ID=leader
    resolve_member
    VICTIM=$TARGET_ID
  fi
}

# A breath of 1 to 3 s while a fault lasts.
last() {
  draw 20
  sleep "$((1 + DRAWN / 10)).$((DRAWN % 10))"
}

began() {
  WHAT=$1
  BEGAN_MS=$(now_ms)
  printf '%4d s  %s\n' "$((SECONDS - START))" "$WHAT"
}

# A promise is broken, as a fault itself saw.
broken() { say "A PROMISE IS BROKEN: $* (seed $SEED)"; exit 4; }

# until_true SECONDS COMMAND...: waits at most so long until the command succeeds.
until_true() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}

# Sets FAULT to the next of a shuffled deck: each comes once before any comes again.
DECK=()
next_fault() {
  ((${#DECK[@]} > 0)) || DECK=("${FAULTS[@]}")
  draw "${#DECK[@]}"
  FAULT=${DECK[$DRAWN]}
  DECK=("${DECK[@]:0:DRAWN}" "${DECK[@]:DRAWN+1}")
}

bring_back() {
  local id
  for id in "$@"; do
    wait_gone "$id" 5 || fail "member $id cannot be killed"
    lock_cluster
    launch "$id"
    write_cluster
    unlock_cluster
  done
  for id in "$@"; do wait_answer "$id" /livez 2>/dev/null || fail "member $id did not start: $(tail -n 2 "${LOG[$id]}")"; done
}

# Waits until charges go through again, as seen in the records.
charges_are_back() {
  local until=$((SECONDS + BACK_SECONDS)) before
  count_answers
  before=$ANSWERS
  until ((ANSWERS > before + 20)); do
    if ((SECONDS >= until)); then
      say "CHARGES DID NOT COME BACK within $BACK_SECONDS s after: $WHAT (seed $SEED)"
      exit 3
    fi
    sleep 0.1
    count_answers
  done
}

# ---- the run --------------------------------------------------------------------------------------------------------

CAN_DISK_FAULTS='' FAKETIME='' CAN_DISKS=''
FAULTS=(kill_one kill_most kill_all pause_one restart_one)
[[ -z $INSIDE ]] || FAULTS+=(cut_off cut_most deafen mute flap lose delay)
# Source: peer link 3 is the first inside TLS.
if [[ -n $PREVIOUS && $(link_of "$PREVIOUS") -lt 3 ]]; then
  say "NO UPGRADE: $PREVIOUS is of before mutual TLS between members; a cluster goes up from there once, all members stopped."
elif [[ -n $PREVIOUS ]]; then FAULTS+=(upgrade_all); else say 'NO UPGRADE: it needs --previous or --previous-commit.'; fi
if can_break_disks; then CAN_DISKS=yes FAULTS+=(cut_power fill_disk damage_log damage_history wipe); else
  say 'NO POWER CUTS, FULL DISKS AND DAMAGE: they need root, loop devices, mount, mkfs.ext4 and perl.'
fi
if [[ -f $SHIM ]]; then CAN_DISK_FAULTS=yes FAULTS+=(stall_disk slow_disk fail_sync tear_write); else say 'NO FAILING AND STALLING DISKS: they need cc.'; fi
if FAKETIME=$(faketime_library) && [[ -n $FAKETIME ]]; then FAULTS+=(set_clock); else say "NO CLOCKS: they need Debian's libfaketime."; fi
if [[ -n $WANTED ]]; then
  for fault in ${WANTED//,/ }; do
    [[ " ${FAULTS[*]} " == *" $fault "* ]] || fail "$fault cannot be done here, see above"
  done
  read -r -a FAULTS <<<"${WANTED//,/ }"
fi
say "seed $SEED, $SECONDS_ALL s, $NODES members, faults: ${FAULTS[*]}"

[[ -z $INSIDE ]] || make_networks
if [[ -n $INSIDE ]] && wants delay; then make_proxies; fi
"$HERE/up.sh" --dir "$DIR" --nodes "$NODES" --port "$PORT" >/dev/null
open_cluster
stop_members "${IDS[@]}"
if [[ -n $CAN_DISKS ]]; then
  make_disks
  move_to_disks
fi
bring_back "${IDS[@]}"
for id in "${IDS[@]}"; do wait_answer "$id" /readyz || fail "member $id did not become ready"; done
SERVERS=$(IFS=,; printf '%s' "${API[*]}")
as_admin() { ETEBAR_KEY=$ADMIN_KEY "$CLIENT_PROGRAM" --server "$SERVERS" "$@"; }
# More credit than any load spends in the longest run: else the later faults fall on sellers who can charge nothing.
as_admin load --prepare 16 --credit 1000000000000 --sellers-file "$WORK/sellers" >/dev/null
START=$SECONDS
for ((i = 1; i <= LOADS; i++)); do
  start_load "$i" $((SECONDS_ALL + LAST_FAULT_SECONDS))
  PIDS+=("$LOAD_PID")
done

: >"$WORK/marks"
DONE=0
declare -A KINDS=()
WHAT='the start'
charges_are_back
# Five seconds follow without a fault, so that the last one's effect is seen whole.
while ((SECONDS - START < SECONDS_ALL - 5)); do
  next_fault
  "$FAULT"
  healed=$(now_ms)
  charges_are_back
  mark "$BEGAN_MS" "$healed" "$WHAT"
  KINDS[$FAULT]=$((${KINDS[$FAULT]:-0} + 1)) DONE=$((DONE + 1))
  sleep 0.5
done
sleep 5
# A last fault may outlast the time that was asked for; the loads sell on until it is over, and end here.
for pid in "${PIDS[@]}"; do kill -s INT "$pid" 2>/dev/null || true; done
for pid in "${PIDS[@]}"; do wait "$pid" || { say "a load process did not end well: $(cat "$WORK"/load-*)"; exit 3; }; done
PIDS=()

# ---- the report -----------------------------------------------------------------------------------------------------

printf '\n'
"$CLIENT_PROGRAM" plot --record "$WORK"/record-* --marks "$WORK/marks" --output "$SVG" --title "Etebar under chaos, seed $SEED" | tee "$WORK/plot"
printf '\n'
for id in "${IDS[@]}"; do wait_answer "$id" /readyz; done
verdict=0
as_admin --timeout 120s prove --record "$WORK"/record-* || verdict=$?
printf '\n%d faults of %d kinds: %s\n' "$DONE" "${#KINDS[@]}" "$(for kind in "${!KINDS[@]}"; do printf '%s %d, ' "$kind" "${KINDS[$kind]}"; done | sed 's/, $//')"
# The column of how long charges stopped, of all faults.
sed -n 's/^ *[0-9.]* s  .*  *\([0-9,]*\) ms$/\1/p' "$WORK/plot" | tr -d , | sort -n >"$WORK/stops"
if [[ -s $WORK/stops ]]; then
  printf 'charges stopped for %s ms in the median of all faults, %s ms at worst\n' \
    "$(sed -n "$((($(wc -l <"$WORK/stops") + 1) / 2))p" "$WORK/stops")" "$(tail -n 1 "$WORK/stops")"
fi
((verdict == 0)) || { say "A PROMISE IS BROKEN (exit $verdict); the same faults: chaos.sh ${GIVEN[*]}"; exit "$verdict"; }
# Source: a fault with its healing takes 3 to 10 s; a run that had far fewer did not test much.
if ((DONE < SECONDS_ALL / 15 || ANSWERS < 10 * SECONDS_ALL)); then
  say "TOO LITTLE HAPPENED: $DONE faults and $ANSWERS answers in $SECONDS_ALL s prove nothing"
  exit 1
fi
printf 'every promise held; seed %s; drawn in %s\n' "$SEED" "$SVG"
