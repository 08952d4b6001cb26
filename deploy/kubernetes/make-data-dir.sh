#!/bin/sh
# make-data-dir.sh
#
# Run by the init container of each pod: leaves the data directory of the pod's node in ETEBAR_DATA_DIR. One that is there
# is left as it is. An empty volume is one of three things:
#
# - The cluster is being founded (ETEBAR_FOUNDING=yes): `init`. Members that are reachable are asked first, and where one of
#   them knows another data directory under this number, the volume was lost, and nothing is made.
# - The node was added (`etebar members add`): `join` asks the members, and makes the directory.
# - The volume of a member was lost: `join` is refused, since its number belongs to the lost data. An empty directory under an
#   old number would let a node vote again that has forgotten what it voted for. Add a node with a new number in its place.
#
# The number of the node is in the file ETEBAR_NUMBERS/POD_NAME, so that a pod can get another one. All other settings are those
# of `etebar-node init` and `join`, as environment variables.
#
# Exits with 0 where the directory is there, else with what etebar-node ended with, and its one line.
set -eu

refuse() {
  printf 'make-data-dir.sh: %s\n' "$*" >&2
  exit 2
}

: "${POD_NAME:?}" "${ETEBAR_NUMBERS:?}" "${ETEBAR_DATA_DIR:?}" "${ETEBAR_CLUSTER_ID:?}" "${ETEBAR_SEEDS:?}"
program=${ETEBAR_NODE_PROGRAM:-etebar-node}
[ -r "$ETEBAR_NUMBERS/$POD_NAME" ] || refuse "pod $POD_NAME has no number: add one for it in the ConfigMap etebar-numbers"
ETEBAR_ID=$(cat "$ETEBAR_NUMBERS/$POD_NAME")
export ETEBAR_ID

# One that was made is left as it is, also where no other member can be asked.
if said=$("$program" join 2>&1); then
  printf '%s\n' "$said"
  exit 0
else
  code=$?
fi
if [ "${ETEBAR_FOUNDING:-no}" = yes ] && [ ! -e "$ETEBAR_DATA_DIR/identity.json" ]; then
  case $said in
    *" was used"*) ;; # by a data directory that this volume does not hold
    *) exec "$program" init ;;
  esac
fi
printf '%s\n' "$said" >&2
exit "$code"
