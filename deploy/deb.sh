#!/usr/bin/env bash
# deb.sh [--no-build]
#
# Builds the Debian package of the two programs, target/debian/etebar_*.deb, by the metadata in node/Cargo.toml, and checks it
# with lintian. Installs cargo-deb in a fixed version into target/tools, and lintian where it is missing. --no-build packages
# the programs that are in target/release. Prints the path of the package alone.
source "$(dirname "${BASH_SOURCE[0]}")/../cluster-scripts/lib.sh"

CARGO_DEB=3.8.0
BUILD=yes
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) help ;;
    --no-build) BUILD=; shift ;;
    *) wrong_usage "unknown argument $1" ;;
  esac
done
PATH=$TARGET/tools/bin:$PATH:$HOME/.cargo/bin
[[ $(cargo-deb --version 2>/dev/null) == *"$CARGO_DEB"* ]] \
  || cargo install --quiet --locked --root "$TARGET/tools" "cargo-deb@$CARGO_DEB" >&2 || fail 'cargo-deb could not be installed'
has_tool lintian || install_packages lintian
cd "$ROOT"
if [[ -n $BUILD ]]; then
  ETEBAR_COMMIT=${ETEBAR_COMMIT:-$(git rev-parse --short HEAD 2>/dev/null || true)} \
    cargo build --release --locked -p etebar-node -p etebar-cli >&2 || fail 'the programs do not build'
fi
PACKAGE=$(cargo-deb --no-build --strip --quiet --package etebar-node) || fail 'the package could not be made'
lintian --fail-on error,warning "$PACKAGE" >&2 || fail "lintian finds fault with $PACKAGE"
printf '%s\n' "$PACKAGE"
