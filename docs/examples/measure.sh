#!/usr/bin/env bash
# measure.sh [--quick]
#
# Measures all figures of docs/processes-and-threads.md on this machine, in about three minutes: starts clusters of its own in
# a temporary folder, runs the examples that measure, writes docs/figures/*.csv, draws the curves beside them, and fills the
# tables of the chapter. Run it on a machine that does nothing else. --quick only tries that all of it works, in a minute, and
# changes nothing.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SCRIPTS=$HERE/../../cluster-scripts
SECONDS_EACH=3 DRIVE_SECONDS=2 QUICK=''
case ${1-} in
  '') ;;
  --quick) SECONDS_EACH=1 DRIVE_SECONDS=0.3 QUICK=yes ;;
  --help | -h) sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
  *) printf 'measure.sh: unknown argument %s (see measure.sh --help)\n' "$1" >&2; exit 2 ;;
esac
command -v python3 >/dev/null || { echo 'measure.sh: python3 is missing (Debian: apt-get install python3)' >&2; exit 1; }

unset ETEBAR_SERVER ETEBAR_KEY
WORK=$(mktemp -d "${TMPDIR:-/tmp}/etebar-measure.XXXXXX")
export FIGURES=$WORK/figures     # in place only when all was measured
export PYTHONDONTWRITEBYTECODE=1 # no __pycache__ in docs/examples
mkdir "$FIGURES"

clean_up() {
  local status=$?
  trap - EXIT
  down || true
  rm -rf "${WORK:?}"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# A number N so that N + 1 to N + 40 are free, below the ports that the kernel gives to outgoing connections.
free_port() {
  python3 - <<'PYTHON'
import random, socket
def free(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0
for _ in range(50):
    base = random.randrange(10_000, 30_000, 100)
    if all(free(base + offset) for offset in range(1, 41)):
        print(base)
        break
else:
    raise SystemExit("no free ports found")
PYTHON
}

# up NODES: a new cluster; it is what the examples find.
up() {
  local port
  port=$(free_port)
  "$SCRIPTS/up.sh" --nodes "$1" --dir "$WORK/cluster" --port "$port" >/dev/null
  ETEBAR_SERVER=$(sed -n 's/.*"api": "\([^"]*\)".*/\1/p' "$WORK/cluster/cluster.json" | paste -sd ,)
  ETEBAR_KEY=$(sed -n 's/^  "admin_key": "\([^"]*\)",$/\1/p' "$WORK/cluster/cluster.json")
  export ETEBAR_SERVER ETEBAR_KEY
}

down() {
  if [[ -f $WORK/cluster/cluster.json ]]; then "$SCRIPTS/down.sh" --dir "$WORK/cluster" --wipe 2>/dev/null; fi
}

step() { printf '\n%3d s  %s\n' "$SECONDS" "$*"; }

step 'In memory and in SQLite'
python3 "$HERE/02_lost_update_by_itself.py"
python3 "$HERE/06_lock_for_all.py"
python3 "$HERE/09_what_the_gil_costs.py"

for nodes in 1 5; do
  step "A cluster of $nodes"
  up "$nodes"
  python3 "$HERE/bench.py" --nodes "$nodes" --seconds "$SECONDS_EACH"
  down || true
done

step 'A cluster of 3'
up 3
python3 "$HERE/bench.py" --nodes 3 --seconds "$SECONDS_EACH"
python3 "$HERE/drive.py" --seconds "$DRIVE_SECONDS"
python3 "$HERE/bench.py" --cluster "$WORK/cluster" --seconds "$SECONDS_EACH"

step 'Curves and tables'
if [[ -n $QUICK ]]; then
  python3 "$HERE/plot.py" "$FIGURES"
  step 'All of it works; nothing was changed.'
  exit 0
fi
mv "$FIGURES"/*.csv "$HERE/../figures/"
python3 "$HERE/plot.py"
python3 "$HERE/tables.py"
step 'docs/figures and the tables of docs/processes-and-threads.md are new.'
