#!/usr/bin/env bash
# instructions.sh [--record]
#
# Counts, with valgrind's callgrind, the instructions of deciding and of applying 1,000 charges, and compares them with what
# is recorded in node/benches/instructions.txt: instructions are the same in each run, whatever else the machine does. Fails
# where one grew by more than 5 percent; --record writes what was counted. Installs valgrind where it is missing.
#
# Exits 0 where nothing grew, 4 where something did, 1 or 2 where it could not count.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
MARGIN_PERCENT=5
RECORD=no
case ${1:-} in
  '') ;;
  --record) RECORD=yes ;;
  *) help ;;
esac
has_tool valgrind || install_packages valgrind
has_tool valgrind || fail 'valgrind is not installed'
PACKAGE=$ROOT/node/benches
RECORDED=$PACKAGE/instructions.txt
(cd "$PACKAGE" && cargo build --quiet --release --locked --target-dir target --bin instructions) || fail 'the benchmarks could not be built'
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT

# count NAME FUNCTION: the instructions inside of FUNCTION.
count() {
  valgrind --tool=callgrind --callgrind-out-file="$OUT/$1" --collect-atstart=no --toggle-collect="*$2*" \
    "$PACKAGE/target/release/instructions" "$1" 2>"$OUT/$1.log" || { cat "$OUT/$1.log" >&2; fail "callgrind failed"; }
  awk '$1 == "totals:" { print $2 }' "$OUT/$1"
}

CODE=0
for row in 'decide decide_charges' 'apply apply_records'; do
  read -r name function <<<"$row"
  counted=$(count "$name" "$function")
  ((counted > 100000)) || fail "$name: $counted instructions cannot be right"
  printf '%s %s\n' "$name" "$counted" >>"$OUT/counted"
  recorded=$(awk -v name="$name" '$1 == name { print $2 }' "$RECORDED" 2>/dev/null || true)
  printf '%s of 1,000 charges: %s instructions, recorded %s\n' "$name" "$counted" "${recorded:-none}"
  if [[ $RECORD == no ]] && ((counted * 100 > ${recorded:-0} * (100 + MARGIN_PERCENT))); then
    say "$SCRIPT: $name grew by more than $MARGIN_PERCENT percent: find out why, or record it with $SCRIPT --record"
    CODE=4
  fi
done
if [[ $RECORD == yes ]]; then cp "$OUT/counted" "$RECORDED"; fi
exit "$CODE"
