#!/usr/bin/env bash
# fresh-machine.sh [--user] [--keep] [--only demo.sh | test.sh]
#
# Tries the README's two commands as a newcomer does: in a bare Debian root of its own that has Rust, a linker and nothing
# else, on a clone of the last commit. debootstrap makes the root (this system's release, from its mirror) below the target
# folder; Rust is this machine's, mounted read-only. --user runs the commands without root, so that nothing can be installed
# there; --only tries one of the two; --keep leaves the root for a look.
#
# Needs root. Takes as long as a cold build and all tests, and about 8 GB of disk. Everything runs in mount and process
# namespaces of its own, which end with it. Exits 0 where both commands passed, otherwise with the code of the one that failed.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

AS_USER=no KEEP=no COMMANDS=(demo.sh test.sh)
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) help ;;
    --user) AS_USER=yes; shift ;;
    --keep) KEEP=yes; shift ;;
    --only) COMMANDS=("$(value_of "$1" "$@")"); shift 2 ;;
    *) wrong_usage "unknown argument $1" ;;
  esac
done
for command in "${COMMANDS[@]}"; do
  [[ $command == demo.sh || $command == test.sh ]] || wrong_usage "--only takes demo.sh or test.sh, not $command"
done
[[ $(id -u) == 0 ]] || fail 'it takes root to make and to enter a root'
has_tool debootstrap || install_packages debootstrap

# The toolchain itself, which needs no rustup.
RUST=$(cd "$ROOT" && PATH=$PATH:$HOME/.cargo/bin rustc --print sysroot) || fail 'Rust is not installed (see https://rustup.rs)'
# shellcheck source=/dev/null
RELEASE=$(source /etc/os-release && printf '%s' "$VERSION_CODENAME")
# The mirror from which this machine takes its release.
# shellcheck disable=SC2016 # apt expands what stands in the format
mirror() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $RELEASE" | sed -n 1p; }
MIRROR=$(mirror)
[[ -n $MIRROR ]] || { apt-get update -q >&2 && MIRROR=$(mirror); }
[[ -n $MIRROR ]] || fail 'apt knows no mirror of this release'

BARE=$TARGET/fresh-machine
rm -rf --one-file-system "${BARE:?}"
mkdir -p "$BARE"
[[ $KEEP == yes ]] || trap 'rm -rf --one-file-system "${BARE:?}"' EXIT
say "making a bare $RELEASE in $BARE"
# Root installs the rest.
PACKAGES=ca-certificates,gcc,libc6-dev
if [[ $AS_USER == yes ]]; then PACKAGES+=,make; fi
debootstrap --variant=minbase --include="$PACKAGES" "$RELEASE" "$BARE" "$MIRROR" >"$BARE.log" 2>&1 \
  || { tail -n 20 "$BARE.log" >&2; fail 'debootstrap failed'; }
rm -f "$BARE.log"
# How this machine reaches its mirrors, where that takes settings.
cp -a /etc/apt/apt.conf.d/. "$BARE/etc/apt/apt.conf.d/"
cp -L /etc/resolv.conf /etc/hosts "$BARE/etc/"
cp -L /etc/ssl/certs/ca-certificates.crt "$BARE/etc/ssl/certs/"

ACCOUNT=root PLACE=/root
if [[ $AS_USER == yes ]]; then
  ACCOUNT=newcomer PLACE=/home/newcomer
  chroot "$BARE" useradd --create-home --shell /bin/bash "$ACCOUNT"
fi
mkdir -p "$BARE/rust"
git clone --quiet --no-hardlinks "$ROOT" "$BARE$PLACE/etebar"
say "cloned $(git -C "$BARE$PLACE/etebar" log -1 --format='%h %s')"
chroot "$BARE" chown -R "$ACCOUNT:" "$PLACE"

# Within namespaces of its own, so that what is mounted and started ends with it: the mounts of a machine, then the commands.
# shellcheck disable=SC2016 # the inner shells expand it
enter() {
  BARE=$BARE RUST=$RUST ACCOUNT=$ACCOUNT PLACE=$PLACE COMMAND=$1 \
    unshare --mount --pid --fork --kill-child bash -euc '
      mount --make-rprivate /
      mount -t proc proc "$BARE/proc"
      mount --rbind /sys "$BARE/sys"
      mount --rbind /dev "$BARE/dev"
      mount --bind "$RUST" "$BARE/rust"
      mount -o remount,bind,ro "$BARE/rust"
      mount -t tmpfs tmpfs "$BARE/run"
      exec chroot "$BARE" su "$ACCOUNT" -s /bin/bash -c "
        export HOME=$PLACE LANG=C.UTF-8
        export PATH=/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        cd $PLACE/etebar && exec cluster-scripts/$COMMAND" </dev/null'
}

for command in "${COMMANDS[@]}"; do
  say "== cluster-scripts/$command, in the bare root"
  began=$SECONDS status=0
  enter "$command" || status=$?
  say "== cluster-scripts/$command ended with $status after $((SECONDS - began)) s"
  ((status == 0)) || exit "$status"
done
