#!/usr/bin/env bash
# fuzz.sh [--seconds N] [--jobs J] [DOOR...]
# fuzz.sh --list
#
# Sends arbitrary bytes through the doors of a node (--list prints them; all unless some are named), N seconds (60) each, J
# (2) doors at a time, with libFuzzer: from the seeds in tests/fuzz/seeds on, towards code that no input reached before.
# What is promised of each door stands in tests/fuzz/doors. An input that breaks it is kept in tests/fuzz/found with the
# command that replays it; put into tests/fuzz/seeds/DOOR, it is tried by every test run from then on.
#
# Exit 0 where nothing broke, 4 where something did, 1 where a fuzzer could not run, 2 for wrong usage.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

LENGTH=60 JOBS=2 DOORS=()
PACKAGE=$ROOT/tests/fuzz
known_doors() { sed -n 's/^    ("\([a-z-]*\)", [a-z_:]*),$/\1/p' "$PACKAGE/doors/mod.rs"; }
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) help ;;
    --list) known_doors; exit 0 ;;
    --seconds) LENGTH=$(value_of "$1" "$@"); shift 2 ;;
    --jobs) JOBS=$(value_of "$1" "$@"); shift 2 ;;
    -*) wrong_usage "unknown option $1" ;;
    *)
      known_doors | grep -qxF -- "$1" || wrong_usage "there is no door $1 (--list prints them)"
      DOORS+=("$1")
      shift
      ;;
  esac
done
[[ $LENGTH =~ ^[1-9][0-9]{0,5}$ ]] || wrong_usage "--seconds is 1 to 999999, not $LENGTH"
[[ $JOBS =~ ^[1-9][0-9]?$ ]] || wrong_usage "--jobs is 1 to 99, not $JOBS"
[[ ${#DOORS[@]} -gt 0 ]] || mapfile -t DOORS < <(known_doors)

# The coverage that libFuzzer steers by; its runtime comes with the crate and is built by the C++ compiler.
FLAGS='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1'
TRIPLE=$(PATH=$PATH:$HOME/.cargo/bin rustc -vV | sed -n 's/^host: //p')
(cd "$PACKAGE" && PATH=$PATH:$HOME/.cargo/bin RUSTFLAGS=$FLAGS cargo build --quiet --release --locked --bin fuzz --target "$TRIPLE") || fail 'the fuzzers could not be built'
PROGRAM=$PACKAGE/target/$TRIPLE/release/fuzz
WORK=$(mktemp -d "${TMPDIR:-/tmp}/etebar-fuzz.XXXXXX")
trap 'rm -rf "${WORK:?}"' EXIT
mkdir -p "$PACKAGE/found"

# try DOOR: one door for its time; leaves its output and its exit code.
try() {
  local status=0
  mkdir "$WORK/$1"
  # No input takes a second or half a gigabyte; one that did could be used to stall a node.
  FUZZ_DOOR=$1 "$PROGRAM" -max_total_time="$LENGTH" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=8192 \
    -print_final_stats=1 -artifact_prefix="$PACKAGE/found/$1-" "$WORK/$1" "$PACKAGE/seeds/$1" >"$WORK/$1.out" 2>&1 || status=$?
  printf '%s\n' "$status" >"$WORK/$1.status"
}

BROKEN=0
for ((first = 0; first < ${#DOORS[@]}; first += JOBS)); do
  for door in "${DOORS[@]:first:JOBS}"; do try "$door" & done
  wait
  for door in "${DOORS[@]:first:JOBS}"; do
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$WORK/$door.out")
    reached=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$WORK/$door.out" | tail -n 1)
    if [[ $(<"$WORK/$door.status") == 0 ]]; then
      printf '%-16s %s inputs, %s places in the code reached, nothing broke\n' "$door" "$(grouped "${runs:-0}")" "$(grouped "${reached:-0}")"
      continue
    fi
    found=$(sed -n 's/.*Test unit written to //p' "$WORK/$door.out" | tail -n 1)
    [[ -n $found ]] || fail "the fuzzer of $door could not run: $(tail -n 3 "$WORK/$door.out")"
    BROKEN=$((BROKEN + 1))
    printf '%s: BROKEN: %s\n  replay: FUZZ_DOOR=%s %s %s\n' "$door" \
      "$(grep -m 1 -A 1 -E 'panicked at|ERROR: libFuzzer' "$WORK/$door.out" | tr '\n' ' ' | cut -c -300)" "$door" "$PROGRAM" "$found"
  done
done
((BROKEN == 0)) || exit 4
