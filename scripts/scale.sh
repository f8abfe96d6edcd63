#!/usr/bin/env bash
# Measures fleets of thousands of hosts with simulated engines, with the programs as they are released;
# arguments go to dockfleet-scale (--help lists them).
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$top"

build_static
KUBEBUILDER_ASSETS=${KUBEBUILDER_ASSETS:-$(e2e/tools/build.sh kubernetes)}
# The API server has some connections with every agent, and the agents of a namespace share a process.
ulimit -n "$(ulimit -Hn)"
# Journals and the store in memory: a disk would be measured with them.
scratch=${TMPDIR:-/dev/shm}
exec "${as_root[@]}" env PATH="$PATH" HOME="$HOME" TMPDIR="$scratch" \
    KUBEBUILDER_ASSETS="$KUBEBUILDER_ASSETS" "$target/static/dockfleet-scale" "$@"
