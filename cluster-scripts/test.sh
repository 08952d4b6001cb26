#!/usr/bin/env bash
# test.sh [ARGUMENT OF cargo test...]
#
# Passes all tests on a machine that has Rust, a linker and Debian's package manager: installs the packages that the tests
# need and that are missing, says so, and runs them all (or those that the arguments choose), with real processes, sockets
# and kills. As root they also cut the power of file systems in loop devices, fill disks, and cut nodes off from each other
# in network namespaces of their own.
#
# Without root nothing can be installed and nothing mounted: what needs root, or a package that is missing, is skipped, and
# both this script and each skipped test say so.
#
# Exits with what cargo test exits with, or 1 where a package could not be installed.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
if [[ ${1:-} == --help || ${1:-} == -h ]]; then help; fi

# A program, or a pattern of a file, that the tests use, and the package that has it.
NEEDED=(
  'cc gcc'
  '/usr/include/stdio.h libc6-dev'
  'flock util-linux'
  'git git'
  'ip iproute2'
  'make make'
  'mkfs.ext4 e2fsprogs'
  'mount mount'
  'nft nftables'
  'prometheus prometheus'
  'python3 python3'
  '/usr/lib/python3*/ensurepip/__init__.py python3-venv'
  'tmux tmux'
  '/usr/lib/*/faketime/libfaketimeMT.so.1 libfaketime'
)
# Tools without which a test can only be skipped; the others either come with Rust or are used by root alone.
SKIPPABLE=(prometheus python3 tmux)

MISSING=()
for row in "${NEEDED[@]}"; do
  read -r tool package <<<"$row"
  has_tool "$tool" || MISSING+=("$package")
done
if ((${#MISSING[@]} > 0)) && [[ $(id -u) == 0 ]]; then
  install_packages "${MISSING[@]}"
elif ((${#MISSING[@]} > 0)); then
  say "$SCRIPT: without root these packages stay missing, and what needs them is skipped: ${MISSING[*]}"
  say "  install them with: apt-get install ${MISSING[*]}"
  for tool in "${SKIPPABLE[@]}"; do
    has_tool "$tool" || export ETEBAR_TESTS_WITHOUT="${ETEBAR_TESTS_WITHOUT:+$ETEBAR_TESTS_WITHOUT,}$tool"
  done
fi
# S3-compatible storage, which backups are uploaded to; tests/src/operator/storage.rs has the same version.
MOTO=5.2.1
install_python moto "$MOTO" flask "moto[s3]==$MOTO" flask==3.1.3 flask-cors==6.0.5 || {
  say "$SCRIPT: moto $MOTO could not be installed (a Python package), and what needs it is skipped: backups in S3-compatible storage"
  export ETEBAR_TESTS_WITHOUT="${ETEBAR_TESTS_WITHOUT:+$ETEBAR_TESTS_WITHOUT,}moto"
}
[[ $(id -u) == 0 ]] || say "$SCRIPT: without root no power is cut, no disk filled and no network cut"

PATH=$PATH:$HOME/.cargo/bin
command -v cargo >/dev/null || fail "cargo is not installed (see https://rustup.rs)"
cd "$ROOT"
TEST=(cargo test --release --locked)
case " $* " in
  *' -p '* | *' --package '* | *' --package='*) exec "${TEST[@]}" "$@" ;;
  '  ' | ' --no-run ')
    # The ledger's tests alone use proptest, which asks more of a crate below the node than the node does. Tested with the
    # others, they would have the node built twice: for its own tests, and as the program that the scenarios start.
    "${TEST[@]}" -p ledger "$@"
    # The node's unit tests need no speed, and optimising them takes as long as the program itself.
    "${TEST[@]}" --workspace --exclude ledger --lib --config 'profile.release.package.etebar-node.opt-level=1' "$@"
    "${TEST[@]}" --workspace --exclude ledger --bins --test '*' "$@"
    # These are built as they run.
    [[ ${1:-} == --no-run ]] || exec "${TEST[@]}" --workspace --exclude ledger --doc
    ;;
  *) exec "${TEST[@]}" --workspace "$@" ;;
esac
