# Faults of processes: killed, paused, restarted, another build. Read by chaos.sh.
# shellcheck shell=bash

kill_one() { pick; began "node $VICTIM killed"; signal_member KILL "$VICTIM"; last; bring_back "$VICTIM"; }
kill_most() {
  local i victims=()
  pick
  for ((i = 0; i <= NODES / 2; i++)); do victims+=($(((VICTIM - 1 + i) % NODES + 1))); done
  began "nodes ${victims[*]} killed"
  for i in "${victims[@]}"; do signal_member KILL "$i"; done
  last
  bring_back "${victims[@]}"
}
kill_all() {
  local id
  began 'all nodes killed'
  for id in "${IDS[@]}"; do signal_member KILL "$id"; done
  bring_back "${IDS[@]}"
}
pause_one() { pick; began "node $VICTIM paused"; signal_member STOP "$VICTIM"; last; signal_member CONT "$VICTIM"; }
restart_one() { pick; began "node $VICTIM restarted"; stop_members "$VICTIM"; bring_back "$VICTIM"; }

# link_of PROGRAM: the version of the peer link that a build of the node speaks; 1 where it does not say.
link_of() {
  local said
  said=$("$1" --version)
  if [[ $said =~ 'peer link '([0-9]+) ]]; then printf '%s' "${BASH_REMATCH[1]}"; else printf 1; fi
}

# become PROGRAM MEMBER...: stops these members and brings them back as that build.
become() {
  local program=$1 id
  shift
  stop_members "$@"
  for id in "$@"; do PROGRAM_OF["$id"]=$program; done
  bring_back "$@"
  for id in "$@"; do
    wait_answer "$id" /readyz 2>/dev/null || broken "member $id is not ready as $program: $(tail -n 1 "${LOG[$id]}")"
  done
}

# Every member in its turn becomes the build of before, then that of now; all at once where those do not talk to each other.
upgrade_all() {
  local program id
  if [[ $(link_of "$PREVIOUS") == $(link_of "$NODE_PROGRAM") ]]; then
    began 'all nodes back to the build of before, and up again'
    for program in "$PREVIOUS" "$NODE_PROGRAM"; do
      for id in "${IDS[@]}"; do become "$program" "$id"; done
    done
  else
    began 'all nodes at once back to the build of before, and up again'
    for program in "$PREVIOUS" "$NODE_PROGRAM"; do become "$program" "${IDS[@]}"; done
  fi
}
