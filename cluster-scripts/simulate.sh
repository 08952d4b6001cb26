#!/usr/bin/env bash
# simulate.sh [--seeds N] [--from S] [--seconds T] [--jobs J] [--twice K] [--plant NAME]
# simulate.sh --plants
#
# Plays N seeds (60 unless given, the first is S or 1) of the deterministic simulation, one process a seed, J (2) at a time:
# the node's own code in one thread, with crashes, cut links, failing disks and wrong clocks, about T (20) simulated seconds
# each. Prints each failing seed with what broke and the command that replays it. The first K (4) seeds are played twice, and
# both must leave the same trace. --plant builds a copy of the sources with a known bug in it, a patch of
# tests/simulation/plants (--plants lists them, one name a line), and stops at the first seed that catches it: exit 4 and the
# seed where it was caught, 0 where it was not. plants.sh plays all of them.
#
# Exit 0 where no invariant was violated, 4 where one was, 1 where a seed gave no result or could not run, 2 for wrong usage.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$ROOT/cluster-scripts/simulate/plant.sh"

SEEDS=60 FROM=1 LENGTH=20 JOBS=2 TWICE=4 PLANT=''
number_of() {
  [[ $2 =~ ^[0-9]{1,15}$ ]] || wrong_usage "$1 takes a number, not $2"
  printf '%s' "$((10#$2))"
}
LIST=no
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) help ;;
    --plants) LIST=yes; shift; continue ;;
    --seeds | --from | --seconds | --jobs | --twice | --plant) VALUE=$(value_of "$1" "$@") ;;
    *) wrong_usage "unknown argument $1" ;;
  esac
  case $1 in
    --seeds) SEEDS=$(number_of "$1" "$VALUE") ;;
    --from) FROM=$(number_of "$1" "$VALUE") ;;
    --seconds) LENGTH=$(number_of "$1" "$VALUE") ;;
    --jobs) JOBS=$(number_of "$1" "$VALUE") ;;
    --twice) TWICE=$(number_of "$1" "$VALUE") ;;
    --plant) PLANT=$VALUE ;;
  esac
  shift 2
done
((SEEDS > 0)) || wrong_usage 'at least one seed'
((LENGTH > 0)) || wrong_usage 'at least one second'
((JOBS > 0)) || wrong_usage 'at least one job'

if [[ $LIST == yes ]]; then plants; exit 0; fi
PACKAGE=$ROOT/tests/simulation BUILT=$ROOT/tests/simulation/target PROFILE=release
if [[ -n $PLANT ]]; then
  plants | grep -qxF -- "$PLANT" || wrong_usage "no bug is called $PLANT: --plants lists them"
  PACKAGE=$TARGET/plants/tree/tests/simulation BUILT=$TARGET/plants/built PROFILE=plant
  # There is one copy, and it has one bug at a time.
  mkdir -p "$TARGET/plants"
  exec 9>"$TARGET/plants/lock"
  flock -w 600 9 || fail 'another bug is being played'
  plant "$PLANT" "$TARGET/plants/tree"
  TWICE=0
fi

# cargo reads the flags of .cargo/config.toml only where it runs, and RUSTFLAGS would take their place.
(cd "$PACKAGE" && unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET \
  && cargo build --quiet --profile "$PROFILE" --locked --target-dir "$BUILT") || fail 'the simulation could not be built'
PROGRAM=$BUILT/$PROFILE/simulation
WORK=$(mktemp -d "${TMPDIR:-/tmp}/etebar-simulate.XXXXXX")
trap 'rm -rf "${WORK:?}"' EXIT

# play SEED: one seed; leaves its output and, last of all, its exit code.
play() {
  local seed=$1 status=0 again
  "$PROGRAM" "$seed" "$LENGTH" >"$WORK/$seed.out" 2>&1 || status=$?
  if ((status == 0 && seed < FROM + TWICE)); then
    again=$("$PROGRAM" "$seed" "$LENGTH" | tail -n 1) || again=''
    if ! grep -q ' trace [0-9a-f]\{16\}:' <<<"$again" || [[ $again != "$(tail -n 1 "$WORK/$seed.out")" ]]; then
      printf 'BROKEN: the same seed left a different trace: %s\n' "$again" >>"$WORK/$seed.out"
      status=4
    fi
  fi
  printf '%s\n' "$status" >"$WORK/$seed.status.new"
  mv "$WORK/$seed.status.new" "$WORK/$seed.status"
}

replay() {
  if [[ -n $PLANT ]]; then
    printf 'cluster-scripts/simulate.sh --plant %s --from %s --seeds 1 --seconds %s' "$PLANT" "$1" "$LENGTH"
  else
    printf '(cd tests/simulation && cargo run --release -- %s %s)' "$1" "$LENGTH"
  fi
}

BROKEN=0 FAILED=0 PLAYED=0 CAUGHT=''
# judge SEED: counts how it ended, and prints where it did not end well.
judge() {
  local seed=$1 status
  status=$(<"$WORK/$seed.status")
  PLAYED=$((PLAYED + 1))
  case $status in
    0) ;;
    4)
      BROKEN=$((BROKEN + 1))
      CAUGHT=${CAUGHT:-$seed}
      printf 'seed %s: %s\n  replay: %s\n' "$seed" "$(grep -m 1 -o 'BROKEN: .*' "$WORK/$seed.out" | cut -c -400)" "$(replay "$seed")"
      ;;
    *)
      FAILED=$((FAILED + 1))
      printf 'seed %s: exit %s, %s\n  replay: %s\n' "$seed" "$status" "$(tail -n 1 "$WORK/$seed.out" | cut -c -400)" "$(replay "$seed")"
      ;;
  esac
  rm -f "$WORK/$seed".*
}

BEGAN=$SECONDS
next=$FROM ends=$((FROM + SEEDS)) judged=$FROM
while ((judged < ends)); do
  while ((next < ends)) && (($(jobs -rp | wc -l) < JOBS)); do
    play "$next" &
    next=$((next + 1))
  done
  # 127: none is left to wait for.
  [[ -e $WORK/$judged.status ]] || wait -n || (($? != 127)) || [[ -e $WORK/$judged.status ]] || fail "seed $judged ended without a result"
  # In the order of their numbers, whichever ends first: the same seeds make the same report.
  while ((judged < next)) && [[ -e $WORK/$judged.status ]]; do
    judge "$judged"
    judged=$((judged + 1))
    if [[ -n $PLANT && -n $CAUGHT ]]; then break 2; fi
  done
done
wait

printf '%s seeds of %s s in %s s: %s violated an invariant, %s could not be judged\n' "$PLAYED" "$LENGTH" "$((SECONDS - BEGAN))" "$BROKEN" "$FAILED"
if [[ -n $PLANT && -n $CAUGHT ]]; then printf 'caught %s with seed %s, after %s seeds\n' "$PLANT" "$CAUGHT" "$PLAYED"; fi
if [[ -n $PLANT && -z $CAUGHT ]]; then printf 'NOT caught: %s\n' "$PLANT"; fi
((BROKEN == 0)) || exit 4
((FAILED == 0)) || exit 1
