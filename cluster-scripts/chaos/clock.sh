# Clocks that are set. Read by chaos.sh.
# shellcheck shell=bash

# The library of Debian's package libfaketime, where it is installed.
faketime_library() { find /usr/lib -path '*/faketime/libfaketimeMT.so.1' -print -quit 2>/dev/null; }

# The wall clock of one is set by seconds, minutes or hours, forward or back, and set right again.
set_clock() {
  local by sign=+
  pick
  draw 3
  by=$((DRAWN == 0 ? 8 : DRAWN == 1 ? 700 : 18000))
  draw 2
  ((DRAWN == 0)) || sign=-
  began "clock of node $VICTIM set by $sign$by s"
  printf '%s%s\n' "$sign" "$by" >"$WORK/clock-$VICTIM"
  last
  printf '+0\n' >"$WORK/clock-$VICTIM"
}
