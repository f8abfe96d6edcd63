#!/usr/bin/env bash
# Runs the measurements with the programs as they are released; arguments go to dockfleet-bench (--help
# lists them).
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$top"

build_static
DOCKFLEET_ENGINE_DIR=${DOCKFLEET_ENGINE_DIR:-$(e2e/tools/build.sh engine)}
KUBEBUILDER_ASSETS=${KUBEBUILDER_ASSETS:-$(e2e/tools/build.sh kubernetes)}
exec "${as_root[@]}" env PATH="$PATH" HOME="$HOME" DOCKFLEET_ENGINE_DIR="$DOCKFLEET_ENGINE_DIR" \
    KUBEBUILDER_ASSETS="$KUBEBUILDER_ASSETS" "$target/static/dockfleet-bench" "$@"
