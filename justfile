# Short names for what CONTRIBUTING.md describes. `just --list` prints them.

# Lists the commands.
default:
    @just --list

# Everything that must hold before a change lands (as root, on Debian).
gate:
    .ci/run

# Formats all code, and applies what clippy can fix by itself.
fix:
    cargo clippy --fix --allow-dirty --allow-staged --workspace --all-targets --locked
    cargo fmt --all
    cd tests/simulation && cargo fmt --all
    cd tests/fuzz && cargo fmt --all
    cd node/benches && cargo fmt --all

# All tests, or those that the arguments of cargo test choose.
test *ARGUMENTS:
    cluster-scripts/test.sh {{ ARGUMENTS }}

# A demo of Etebar, half a minute after the build.
demo *ARGUMENTS:
    cluster-scripts/demo.sh {{ ARGUMENTS }}

# Micro-benchmarks of the ledger and of the storage, and the instructions of deciding and applying.
benches *ARGUMENTS:
    cd node/benches && cargo bench {{ ARGUMENTS }}
    cluster-scripts/instructions.sh

# Compares Etebar with the disk, PostgreSQL and etcd in one run, as ratios.
compare *ARGUMENTS:
    cluster-scripts/compare.sh {{ ARGUMENTS }}

# Measures how the cost of a ledger grows with its charges.
grow *ARGUMENTS:
    cluster-scripts/grow.sh {{ ARGUMENTS }}

# Checks the documents, and builds the documentation of the code with its links checked.
docs:
    .ci/documents
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --locked

# Measures charges a second on a new local cluster, which is deleted afterwards.
bench *ARGUMENTS:
    #!/usr/bin/env bash
    set -euo pipefail
    dir=$(mktemp -d)
    trap 'cluster-scripts/down.sh --dir "$dir/cluster" --wipe; rmdir "$dir"' EXIT
    cluster-scripts/up.sh --dir "$dir/cluster" --port "${PORT:-7100}"
    ETEBAR_SERVER=$(sed -n 's/.*"api": "\([^"]*\)".*/\1/p' "$dir/cluster/cluster.json" | paste -sd ,)
    ETEBAR_KEY=$(sed -n 's/.*"admin_key": "\(.*\)".*/\1/p' "$dir/cluster/cluster.json")
    export ETEBAR_SERVER ETEBAR_KEY
    "${CARGO_TARGET_DIR:-target}/release/etebar" bench {{ ARGUMENTS }}
