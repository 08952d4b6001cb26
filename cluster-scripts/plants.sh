#!/usr/bin/env bash
# plants.sh [--seeds N] [--jobs J] [--minutes M] [NAME...]
# plants.sh --check
#
# Shows that the simulation finds bugs: plants each known one by itself (all of them, unless some are named;
# simulate.sh --plants lists them) and plays seeds from 1 on, N (600) at most, J (2) at a time, until one catches it. Prints the
# seed of each. After M (60) minutes none is begun any more. --check builds nothing: it says whether each patch still applies.
#
# Exit 0 where each was caught, or applies; 4 where one was not caught; 1 where one does not apply or build, or no time was
# left; 2 for wrong usage.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$HERE/simulate/plant.sh"

SEEDS=600 JOBS=2 MINUTES=60 CHECK=no NAMES=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) help ;;
    --check) CHECK=yes; shift ;;
    --seeds) SEEDS=$(value_of "$1" "$@"); shift 2 ;;
    --jobs) JOBS=$(value_of "$1" "$@"); shift 2 ;;
    --minutes) MINUTES=$(value_of "$1" "$@"); shift 2 ;;
    -*) wrong_usage "unknown option $1" ;;
    *)
      plants | grep -qxF -- "$1" || wrong_usage "no bug is called $1: simulate.sh --plants lists them"
      NAMES+=("$1")
      shift
      ;;
  esac
done
for number in "$SEEDS" "$JOBS" "$MINUTES"; do
  [[ $number =~ ^[1-9][0-9]{0,5}$ ]] || wrong_usage "a number from 1 to 999999, not $number"
done
[[ ${#NAMES[@]} -gt 0 ]] || mapfile -t NAMES < <(plants)

FAILED=0 MISSED=0
if [[ $CHECK == yes ]]; then
  for name in "${NAMES[@]}"; do
    apply_plant "$name" "$ROOT" --check || { say "$name: its patch does not apply"; FAILED=$((FAILED + 1)); }
  done
  ((FAILED == 0)) || exit 1
  printf '%s patches apply\n' "${#NAMES[@]}"
  exit 0
fi

WORK=$(mktemp -d "${TMPDIR:-/tmp}/etebar-plants.XXXXXX")
trap 'rm -rf "${WORK:?}"' EXIT
for name in "${NAMES[@]}"; do
  if ((SECONDS >= MINUTES * 60)); then
    printf '%s: no time was left\n' "$name"
    FAILED=$((FAILED + 1))
    continue
  fi
  began=$SECONDS status=0
  "$HERE/simulate.sh" --plant "$name" --seeds "$SEEDS" --jobs "$JOBS" >"$WORK/out" 2>&1 || status=$?
  case $status in
    4) printf '%s: caught by seed %s, in %s s\n' "$name" "$(sed -n 's/^caught .* with seed \([0-9]*\),.*/\1/p' "$WORK/out")" "$((SECONDS - began))" ;;
    0)
      printf '%s: NOT caught by %s seeds, in %s s\n' "$name" "$SEEDS" "$((SECONDS - began))"
      MISSED=$((MISSED + 1))
      ;;
    *)
      printf '%s: could not be played: %s\n' "$name" "$(tail -n 3 "$WORK/out")"
      FAILED=$((FAILED + 1))
      ;;
  esac
done
((MISSED == 0)) || exit 4
((FAILED == 0)) || exit 1
