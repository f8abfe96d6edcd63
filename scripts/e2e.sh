#!/usr/bin/env bash
# Runs the tests on real engines and a real API server; arguments go to `cargo test`.
# Everything is built by whoever calls this; the finished test programs run as root.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$top"

case "${DOCKFLEET_STATIC_BIN:-} $*" in
" " | " "*chart*)
    # For an image: what is compiled already, linked anew.
    (cd "$top" && cargo rustc --locked -p dockfleet --bin dockfleet -- -C target-feature=+crt-static)
    DOCKFLEET_STATIC_BIN=$target/image/dockfleet-debug
    install -D -s "$target/debug/dockfleet" "$DOCKFLEET_STATIC_BIN"
    ;;
esac
export DOCKFLEET_STATIC_BIN=${DOCKFLEET_STATIC_BIN:-}
build_programs dockfleet
KUBEBUILDER_ASSETS=${KUBEBUILDER_ASSETS:-$(e2e/tools/build.sh kubernetes)}
DOCKFLEET_ENGINE_DIR=${DOCKFLEET_ENGINE_DIR:-$(e2e/tools/build.sh engine)}
DOCKFLEET_KSTATUS_DIR=${DOCKFLEET_KSTATUS_DIR:-$(e2e/tools/build.sh kstatus)}
DOCKFLEET_HELM_DIR=${DOCKFLEET_HELM_DIR:-$(e2e/tools/build.sh helm)}
DOCKFLEET_PROMTOOL_DIR=${DOCKFLEET_PROMTOOL_DIR:-$(e2e/tools/build.sh promtool)}
DOCKFLEET_VERSITYGW_DIR=${DOCKFLEET_VERSITYGW_DIR:-$(e2e/tools/build.sh versitygw)}
DOCKFLEET_RESTSERVER_DIR=${DOCKFLEET_RESTSERVER_DIR:-$(e2e/tools/build.sh restserver)}
DOCKFLEET_PREVIOUS_BIN=${DOCKFLEET_PREVIOUS_BIN-$(e2e/tools/previous.sh)}
export DOCKFLEET_PREVIOUS_BIN
export KUBEBUILDER_ASSETS DOCKFLEET_ENGINE_DIR DOCKFLEET_KSTATUS_DIR
export DOCKFLEET_HELM_DIR DOCKFLEET_PROMTOOL_DIR
export DOCKFLEET_VERSITYGW_DIR DOCKFLEET_RESTSERVER_DIR
# Half of the time these tests wait.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((2 * $(nproc)))}
if [ ${#as_root[@]} -gt 0 ]; then
    triple=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
    # cargo splits this at spaces; sudo's own PATH lacks what tests look for.
    export "CARGO_TARGET_${triple}_RUNNER=${as_root[*]} env PATH=$PATH HOME=$HOME\
 KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS DOCKFLEET_ENGINE_DIR=$DOCKFLEET_ENGINE_DIR\
 DOCKFLEET_KSTATUS_DIR=$DOCKFLEET_KSTATUS_DIR DOCKFLEET_HELM_DIR=$DOCKFLEET_HELM_DIR\
 DOCKFLEET_PROMTOOL_DIR=$DOCKFLEET_PROMTOOL_DIR\
 DOCKFLEET_VERSITYGW_DIR=$DOCKFLEET_VERSITYGW_DIR DOCKFLEET_RESTSERVER_DIR=$DOCKFLEET_RESTSERVER_DIR\
 DOCKFLEET_PREVIOUS_BIN=$DOCKFLEET_PREVIOUS_BIN DOCKFLEET_STATIC_BIN=$DOCKFLEET_STATIC_BIN\
 RUST_TEST_THREADS=$RUST_TEST_THREADS"
fi
exec cargo test --locked --no-fail-fast -p dockfleet-e2e "${@:---tests}"
