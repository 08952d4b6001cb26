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

# Every member in its turn is stopped and comes back as the build of before, then every one as that of now.
upgrade_all() {
  local program id
  began 'all nodes back to the build of before, and up again'
  for program in "$PREVIOUS" "$NODE_PROGRAM"; do
    for id in "${IDS[@]}"; do
      stop_members "$id"
      PROGRAM_OF["$id"]=$program
      bring_back "$id"
      wait_answer "$id" /readyz 2>/dev/null || broken "member $id is not ready as $program: $(tail -n 1 "${LOG[$id]}")"
    done
  done
}
