#!/usr/bin/env bash
# A fleet to play with, on this machine alone.
#
#   fleet.sh up     starts etcd, kube-apiserver, the controller, and three Docker Engines as three
#                   hosts, each with its agent; returns when every host is Ready
#   fleet.sh down   ends all of them
#
# State, logs, kubeconfig and sockets are in ./.fleet, which goes with `down`. The hosts are network
# namespaces on a bridge with a subnet of 10.99.0.0/16; nothing of it can be reached from outside.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$top"

home=$top/.fleet
pid_file=$home/fleet.pid

up() {
    local pid
    if [ -n "$(remembered "$pid_file")" ]; then
        say "the fleet is up already"
        cat "$home/welcome"
        return
    fi
    build_programs dockfleet dockfleet-e2e
    KUBEBUILDER_ASSETS=${KUBEBUILDER_ASSETS:-$(e2e/tools/build.sh kubernetes)}
    DOCKFLEET_ENGINE_DIR=${DOCKFLEET_ENGINE_DIR:-$(e2e/tools/build.sh engine)}
    clean
    mkdir -p "$home/run"
    # The fleet stays until somebody writes into it.
    mkfifo "$home/control"
    say "starting; logs are in .fleet"
    # TMPDIR is where engines and servers keep what is theirs.
    pid=$(start_as_root "$home/fleet.log" env TMPDIR="$home/run" \
        KUBEBUILDER_ASSETS="$KUBEBUILDER_ASSETS" DOCKFLEET_ENGINE_DIR="$DOCKFLEET_ENGINE_DIR" \
        OWNER="$(id -u):$(id -g)" "$target/debug/e2e-fleet" up "$home")
    remember "$pid_file" "$pid"
    # Whoever interrupts this wants no half of a fleet.
    trap 'end_process "$pid_file" 1; clean; exit 130' INT TERM
    until [ -e "$home/welcome" ]; do
        if ! is_running "$pid"; then
            cat "$home/fleet.log" >&2
            clean
            die "the fleet did not start; its log is above"
        fi
        sleep 0.2
    done
    trap - INT TERM
    cat "$home/welcome"
}

down() {
    if [ ! -e "$home" ]; then
        say "there is no fleet"
        return
    fi
    if [ -n "$(remembered "$pid_file")" ]; then
        say "ending the fleet"
        # It ends its processes itself, in the right order; should that fail, the kernel ends them
        # with it, and `e2e-fleet sweep` removes what they leave.
        # shellcheck disable=SC2016
        timeout 5 bash -c 'echo down >"$1"' bash "$home/control" || true
        local waited=0
        while [ -n "$(remembered "$pid_file")" ] && [ $waited -lt 600 ]; do
            sleep 0.1
            waited=$((waited + 1))
        done
        end_process "$pid_file" 1
    fi
    clean
    say "nothing of it is left"
}

# Removes what a fleet leaves behind that was killed, and its folder.
clean() {
    if [ -e "$home/run" ]; then
        "${as_root[@]}" env PATH="$PATH" TMPDIR="$home/run" "$target/debug/e2e-fleet" sweep
    fi
    "${as_root[@]}" rm -rf --one-file-system "$home"
}

case ${1:-} in
up | down) "$1" ;;
*) die "usage: fleet.sh up|down" ;;
esac
