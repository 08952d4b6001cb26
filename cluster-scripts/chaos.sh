#!/usr/bin/env bash
# chaos.sh [--seconds N] [--seed N] [--nodes 3] [--faults A,B] [--svg FILE] [--previous PROGRAM | --previous-commit REV]
# chaos.sh --list
#
# Breaks a cluster of its own on purpose, under load, for N seconds (60): its processes, network, disks, clocks and data, and
# with an older build at hand its version. After each fault it waits until charges go through again. Then it checks every
# promise against every answer that was given, and prints how long each fault stopped charges. Every fault comes once before any
# comes again, in an order that follows --seed; without one, a seed is drawn and printed. --faults names those to draw from,
# --list prints them all.
#
# Partitions and delays need root, ip and nft (Debian: iproute2, nftables), faults of disks need mount and mkfs.ext4 (mount,
# e2fsprogs) and cc, clocks need libfaketime; where one is missing, that is said and the rest is done. --previous is the
# etebar-node of an older build with the same data format, --previous-commit builds one (minutes); it must speak TLS to its
# peers (peer link 3 or later), else that is said and the rest is done. All networks are
# namespaces of this script's own.
#
# Exits 0 where everything held, 4 where a promise was broken, 3 where charges did not come back, 1 where too little happened.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for argument in "$@"; do
  if [[ $argument == --help || $argument == -h ]]; then help; fi
done

# The program that does all this is among the tests, whose kit it shares. Built with the programs that it starts, since
# each alone would be built with other features of the crates below.
PATH=$PATH:$HOME/.cargo/bin
command -v cargo >/dev/null || fail 'cargo is not installed (see https://rustup.rs)'
(cd "$ROOT" && cargo build --quiet --release --locked -p tests -p etebar-node -p etebar-cli --bins >&2) || fail 'the program does not build'
exec "$TARGET/release/chaos" "$@"
