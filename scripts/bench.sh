#!/usr/bin/env bash
# Runs the measurements with release builds; arguments go to dockfleet-bench (--help lists them).
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$top"

command -v cargo >/dev/null || die "cargo is not installed; install Rust with rustup (https://rustup.rs) and try again"
cargo build --locked --release -p dockfleet -p dockfleet-bench
DOCKFLEET_ENGINE_DIR=${DOCKFLEET_ENGINE_DIR:-$(e2e/tools/build.sh engine)}
KUBEBUILDER_ASSETS=${KUBEBUILDER_ASSETS:-$(e2e/tools/build.sh kubernetes)}
exec "${as_root[@]}" env PATH="$PATH" HOME="$HOME" DOCKFLEET_ENGINE_DIR="$DOCKFLEET_ENGINE_DIR" \
    KUBEBUILDER_ASSETS="$KUBEBUILDER_ASSETS" "$target/release/dockfleet-bench" "$@"
