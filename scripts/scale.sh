#!/usr/bin/env bash
# Measures fleets of thousands of hosts with simulated engines, with release builds; arguments go to
# dockfleet-scale (--help lists them).
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$top"

command -v cargo >/dev/null || die "cargo is not installed; install Rust with rustup (https://rustup.rs) and try again"
cargo build --locked --release -p dockfleet -p dockfleet-bench
KUBEBUILDER_ASSETS=${KUBEBUILDER_ASSETS:-$(e2e/tools/build.sh kubernetes)}
# The API server has some connections with every agent, and the agents of a namespace share a process.
ulimit -n "$(ulimit -Hn)"
# Journals and the store in memory: a disk would be measured with them.
scratch=${TMPDIR:-/dev/shm}
exec "${as_root[@]}" env PATH="$PATH" HOME="$HOME" TMPDIR="$scratch" \
    KUBEBUILDER_ASSETS="$KUBEBUILDER_ASSETS" "$target/release/dockfleet-scale" "$@"
