#!/usr/bin/env bash
# upgrade.sh --build FOLDER [--dir DIR]
#
# Replaces the build of the running cluster in DIR (./data/local unless given) by the etebar-node in FOLDER, one node after
# the other, while the others serve. The leader is the last one. Of each node: leadership is handed over where it leads, the
# node is stopped, the new build checks its data directory offline (etebar-node check) and is started, and the next one waits
# until it is healthy and has caught up. The program is copied to DIR/builds, and the other scripts start the cluster with it
# from then on.
#
# It stops at the first trouble, says which nodes run which build, and can be run again; a node whose data the new build
# refuses, or on which it does not start, is started with the earlier build again. The way back is the same script with the
# earlier build, until all nodes run the newer one: then the ledger goes by its rules, and older builds are refused before any
# node is stopped. ETEBAR_UPGRADE_SECONDS (600) is how long a node may take to catch up.
#
# Example: cluster-scripts/upgrade.sh --build /tmp/new/target/release --dir /tmp/shop
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

UPGRADE_SECONDS=${ETEBAR_UPGRADE_SECONDS:-600}
# A node so many log entries behind has caught up. Source: the bound of `members promote`.
LAG_MAX=1000
BUILD=
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) help ;;
    --build) BUILD=$(value_of "$1" "$@"); shift 2 ;;
    --dir) DIR=$(value_of "$1" "$@"); shift 2 ;;
    *) wrong_usage "unknown argument $1" ;;
  esac
done
[[ -n $BUILD ]] || wrong_usage 'which build? --build takes a folder with the program etebar-node'
[[ -f $BUILD/etebar-node && -x $BUILD/etebar-node ]] || wrong_usage "--build: $BUILD holds no program etebar-node"
[[ $UPGRADE_SECONDS =~ ^[1-9][0-9]{0,5}$ ]] || wrong_usage "ETEBAR_UPGRADE_SECONDS is a number of seconds, not $UPGRADE_SECONDS"

# stated NAME TEXT: the numbers behind a name in what `etebar-node --version` says, as in `rules 3` or `peer link 4 to 5`.
stated() { sed -n "s/.*[(,] \{0,1\}$1 \([0-9]*\( to [0-9]*\)\{0,1\}\)[,)].*/\1/p" <<<"$2"; }

# Refuses, before anything is stopped, a build that could not serve this ledger beside the others.
check_build() {
  local new old status rules known new_link old_link
  new=$("$BUILD/etebar-node" --version 2>&1 9>&-) || fail "the new build does not start: $new"
  old=$("$(program_of "${IDS[0]}")" --version 2>&1 9>&-) || fail "the present build does not start: $old"
  status=$(client --json cluster status) || fail 'the cluster does not answer; nothing was changed (status.sh shows its nodes)'
  rules=$(field rules "${status##*]}") || fail 'the cluster does not say by which rules it goes: every node is to run a build that does'
  known=$(stated rules "$new")
  [[ -n $known ]] || fail "the new build does not say which rules it knows: $new; nothing was changed"
  ((known >= rules)) || fail "the ledger goes by rules $rules, and the new build knows rules up to $known: there is no way back to it; nothing was changed"
  [[ $(stated 'data format' "$new") == "$(stated 'data format' "$old")" ]] \
    || fail "the new build has another data format: $new, not $old; nothing was changed"
  new_link=$(stated 'peer link' "$new") old_link=$(stated 'peer link' "$old")
  ((${new_link##* } >= ${old_link%% *} && ${old_link##* } >= ${new_link%% *})) \
    || fail "the builds cannot talk to each other: $new and $old; nothing was changed"
}

# Copies program $1 to DIR/builds, under a name that follows from its content; sets KEPT to its folder.
keep_program() {
  local name
  name=$(sha256sum <"$1") || fail "$1 cannot be read; nothing was changed"
  KEPT=$DIR/builds/${name:0:16}
  [[ ! -x $KEPT/etebar-node ]] || return 0
  rm -rf "$KEPT.new"
  mkdir -p "$KEPT.new"
  if ! cp "$1" "$KEPT.new/etebar-node" || ! chmod 755 "$KEPT.new/etebar-node" || ! mv -T "$KEPT.new" "$KEPT"; then
    fail "$1 cannot be copied to $DIR/builds; nothing was changed"
  fi
}

# Keeps what each node runs now, which may be another program by now under the name that it was started by.
keep_present() {
  local id pid
  [[ ! -x $DIR/builds/all/etebar-node ]] || return 0
  for id in "${IDS[@]}"; do
    [[ ! -x $DIR/builds/node-$id/etebar-node ]] || continue
    pid=$(running_pid "$id") || continue
    keep_program "/proc/$pid/exe"
    use_build "node-$id" "$KEPT"
  done
}

# use_build NAME FOLDER: has DIR/builds/NAME lead to that folder, at once.
use_build() {
  ln -sfn "${2##*/}" "$DIR/builds/.$1"
  mv -T "$DIR/builds/.$1" "$DIR/builds/$1"
}

# Removes the builds that no node is started with any more.
forget_builds() {
  local path
  for path in "$DIR"/builds/node-*; do [[ ! -L $path ]] || rm -f "$path"; done
  for path in "$DIR"/builds/*; do
    [[ -L $path || $path == "$NEW" ]] || rm -rf "$path"
  done
}

# member ID NAME LIST: a field of one node in what `members list` says.
member() {
  local of=${3##*'"id":'"$1",}
  [[ $of != "$3" ]] && field "$2" "${of%%\}*}"
}

# True where node $1 is a member that is healthy and has caught up, as the others see it.
is_well() {
  local list lag
  list=$(client --json members list 2>/dev/null) || return 1
  [[ $(member "$1" healthy "$list") == true ]] && lag=$(member "$1" lag "$list") && [[ $lag =~ ^[0-9]+$ ]] && ((lag <= LAG_MAX))
}

wait_well() {
  local deadline=$((SECONDS + UPGRADE_SECONDS))
  until is_well "$1"; do
    running_pid "$1" >/dev/null || return 1
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}

# True where every node but $1 is healthy: one at a time is away.
are_others_well() {
  local id deadline=$((SECONDS + 10))
  for id in "${IDS[@]}"; do
    [[ $id == "$1" ]] && continue
    until is_well "$id"; do
      ((SECONDS < deadline)) || { say "node $id is not healthy, or behind"; return 1; }
      sleep 0.2
    done
  done
}

# Has another node lead where $1 does.
hand_over() {
  local id said='' leader
  leader=$(leader_now) || return 0
  [[ $leader == "$1" ]] || return 0
  ((${#IDS[@]} > 1)) || { say 'this node serves alone: nothing is served until it is back'; return 0; }
  for id in "${IDS[@]}"; do
    [[ $id == "$1" ]] && continue
    if said=$(client leader "$id" 2>&1); then return 0; fi
  done
  fail "node $1 leads, and no other node took the leadership over: $said; $(state)"
}

# Starts node $1 with what DIR/builds says, and waits until it answers.
start_node() {
  launch "$1"
  write_cluster
  wait_answer "$1" /livez
}

# Starts node $1 with the build that it had before, and ends with $2.
go_back() {
  local after
  if [[ -n $BEFORE ]]; then use_build "node-$1" "$BEFORE"; else rm -f "$DIR/builds/node-$1"; fi
  after='it runs the earlier build again'
  start_node "$1" || after='nor does the earlier build start: see its log'
  fail "node $1: $2; $after; $(state)"
}

# Which nodes run which build, in a few words.
state() {
  local id pid new='' other='' down=''
  for id in "${IDS[@]}"; do
    if ! pid=$(running_pid "$id"); then down+=" $id"
    elif cmp -s "/proc/$pid/exe" "$NEW/etebar-node"; then new+=" $id"
    else other+=" $id"; fi
  done
  printf 'new build: nodes%s; earlier build: nodes%s' "${new:- none}" "${other:- none}"
  [[ -z $down ]] || printf '; not running: nodes%s' "$down"
}

upgrade() {
  local pid='' said
  if pid=$(running_pid "$1") && cmp -s "/proc/$pid/exe" "$NEW/etebar-node"; then
    use_build "node-$1" "$NEW"
    wait_well "$1" || fail "node $1 runs the new build, and is not healthy or does not catch up; $(state)"
    say "node $1 runs the new build already"
    return
  fi
  are_others_well "$1" || fail "node $1 was not stopped, since another one would be missing too; $(state)"
  hand_over "$1"
  stop_nodes "$1"
  BEFORE=$(readlink "$DIR/builds/node-$1") || BEFORE=
  said=$("$NEW/etebar-node" check --data-dir "${DATA[$1]}" --id "$1" 2>&1 9>&-) || go_back "$1" "the new build refuses its data: ${said##*$'\n'}"
  use_build "node-$1" "$NEW"
  if ! start_node "$1"; then
    stop_nodes "$1"
    go_back "$1" 'the new build did not start'
  fi
  wait_well "$1" || fail "node $1 runs the new build, and does not catch up within $UPGRADE_SECONDS s; $(state)"
  say "node $1 runs the new build"
}

open_cluster
build_programs
lock_cluster # until the end: no other script starts or stops a node meanwhile
read_cluster
mkdir -p "$DIR/builds"
keep_present
check_build
keep_program "$BUILD/etebar-node"
NEW=$KEPT
# Nodes that do not run are first, since they are missed already; the leader is last.
LEADER=$(leader_now) || LEADER=
FIRST=() REST=()
for id in "${IDS[@]}"; do
  if ! running_pid "$id" >/dev/null; then FIRST+=("$id")
  elif [[ $id != "$LEADER" ]]; then REST+=("$id"); fi
done
for id in "${FIRST[@]}" "${REST[@]}" ${LEADER:+"$LEADER"}; do upgrade "$id"; done
use_build all "$NEW"
forget_builds
printf 'every node runs %s\n' "$("$NEW/etebar-node" --version)"
