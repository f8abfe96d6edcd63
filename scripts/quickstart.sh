#!/usr/bin/env bash
# The first minutes with Dockfleet.
#
#   quickstart.sh up     builds dockfleet and applies examples/quickstart to the Docker Engine that
#                        the Docker command line would use; where none answers, to one of its own,
#                        started in ./.quickstart
#   quickstart.sh down   lets go of what was applied, and stops the engine that `up` started
#
# An engine of its own runs in namespaces of its own (network, mounts, processes): its bridges and
# firewall rules are not this machine's, and all of it is gone when it stops.
set -euo pipefail
. "$(dirname "$0")/common.sh"

home=$top/.quickstart
socket=$home/docker.sock
pid_file=$home/engine.pid
# Present while something is applied to an engine that was found: how it was reached.
found_file=$home/found
example=examples/quickstart
dockfleet=$target/debug/dockfleet
default_socket=/var/run/docker.sock
export DOCKFLEET_LOG_FORMAT=${DOCKFLEET_LOG_FORMAT:-text}

# Says whether an engine answers where dockfleet looks for it.
engine_answers() {
    local probe status=0
    probe=$(mktemp -d)
    timeout 30 "$dockfleet" --log error get --state-dir "$probe" >/dev/null 2>&1 || status=$?
    rm -rf "$probe"
    return $status
}

use_found_engine() {
    say "using the Docker Engine ${DOCKER_HOST:-of the Docker command line}"
    declare -p DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG DOCKER_TLS_VERIFY DOCKER_CERT_PATH \
        DOCKFLEET_STATE_DIR >"$found_file" 2>/dev/null || true
}

use_own_engine() {
    export DOCKER_HOST=unix://$socket DOCKFLEET_STATE_DIR=$home/state
    unset DOCKER_TLS_VERIFY DOCKER_CERT_PATH
}

install_engine() {
    local missing=()
    command -v dockerd >/dev/null || missing+=(docker.io)
    command -v iptables >/dev/null || missing+=(iptables)
    if [ ${#missing[@]} = 0 ]; then
        return
    fi
    command -v apt-get >/dev/null ||
        die "this system has no apt-get; install and start Docker Engine 20.10 or newer, or set" \
            "DOCKER_HOST, and try again"
    install_packages "${missing[@]}"
}

# The first process of the engine's namespaces; arguments: folder, group of the socket.
# shellcheck disable=SC2016
boot='
set -e
# This is still the machine'\''s /proc, so this is the pid that the machine knows.
read -r pid rest </proc/self/stat
echo "$pid" >"$1/init"
mount -t proc proc /proc
# Keeps the sockets and states of the machine'\''s own services out of reach.
mount -t tmpfs -o mode=755 tmpfs /run
hostname dockfleet-quickstart
set -- dockerd --config-file "$1/daemon.json" --host "unix://$1/docker.sock" --group "$2" \
    --data-root "$1/data" --pidfile /run/docker.pid
if command -v docker-init >/dev/null; then
    set -- docker-init -- "$@"
fi
exec "$@"
'

start_own_engine() {
    local version starter waited=0
    if [ ${#socket} -gt 107 ]; then
        die "the path of this folder is too long for a Unix socket; clone into a shorter one"
    fi
    version=$(dockerd --version)
    say "starting an engine in .quickstart: $version"
    say "it has a network, mounts and processes of its own, and no way to other machines"
    case $version in
    # 20.10 keeps its identity in /etc/docker unless it is told another place.
    *" 20."*) echo "{\"deprecated-key-path\": \"$home/key.json\"}" >"$home/daemon.json" ;;
    *) echo "{}" >"$home/daemon.json" ;;
    esac
    rm -f "$home/init" "$socket"
    starter=$(start_as_root "$home/dockerd.log" \
        unshare --mount --net --pid --uts --ipc --fork --kill-child -- \
        sh -c "$boot" boot "$home" "$(id -g)")
    use_own_engine
    # First who it is, so that it can be stopped whatever comes after that.
    until [ -s "$home/init" ]; do
        wait_for_start "$starter"
    done
    remember "$pid_file" "$(cat "$home/init")"
    until [ -S "$socket" ] && engine_answers; do
        wait_for_start "$starter"
    done
}

# wait_for_start PID: a moment, as long as that process runs and a minute has not passed.
wait_for_start() {
    if ! is_running "$1" || [ "$((waited += 1))" -gt 120 ]; then
        echo "--- the end of .quickstart/dockerd.log" >&2
        tail -n 20 "$home/dockerd.log" >&2
        end_process "$pid_file" 5
        die "the engine does not start"
    fi
    sleep 0.5
}

up() {
    local status=0
    build_programs dockfleet
    mkdir -p "$home"
    if [ -n "$(remembered "$pid_file")" ]; then
        use_own_engine
        say "using the engine that runs in .quickstart"
    elif engine_answers; then
        use_found_engine
    elif [ -z "${DOCKER_HOST:-}" ] && [ -S $default_socket ] && [ ! -w $default_socket ]; then
        die "your user may not talk to the Docker Engine at $default_socket; join the group docker," \
            "or run: sudo env PATH=\"\$PATH\" HOME=\"\$HOME\" make quickstart"
    else
        say "no Docker Engine answers ${DOCKER_HOST:-where the Docker command line looks for one}"
        install_engine
        if engine_answers; then
            say "the package has started its Docker Engine as a service of this machine"
            say "(to stop it for good: sudo systemctl disable --now docker.socket docker.service)"
            use_found_engine
        else
            rm -f "$pid_file" "$found_file"
            start_own_engine
        fi
    fi
    say "running: dockfleet apply -f $example"
    echo
    "$dockfleet" apply -f "$example" || status=$?
    echo
    next_steps
    return $status
}

next_steps() {
    local program=${dockfleet#"$top"/}
    echo "What to do next, in this folder:"
    if [ ! -e "$found_file" ]; then
        echo "  export DOCKER_HOST=$DOCKER_HOST"
        echo "  export DOCKFLEET_STATE_DIR=$DOCKFLEET_STATE_DIR"
    fi
    local rows=(
        "docker network ls" "what is on the engine now"
        "make quickstart" "once more: nothing changes"
        "docker network rm shop" "remove something by hand ..."
        "$program get" "... see that it is missing ..."
        "$program apply -f $example" "... and have it back"
        "\$EDITOR $example/networks.yaml" "change a subnet, and see"
        "$program diff -f $example" "what would change, before apply does it"
        "$program delete -f $example" "let go of it all (volume shop-data is kept)"
        "make quickstart-down" "the same, and stop what was started for it"
    )
    printf '  %-54s %s\n' "${rows[@]}"
    echo "docs/getting-started.md goes on from here."
}

down() {
    local status=0
    if [ ! -e "$found_file" ] && [ ! -e "$home/data" ]; then
        say "there is nothing to take down"
        return
    fi
    if [ ! -x "$dockfleet" ]; then
        build_programs dockfleet
    fi
    if [ -n "$(remembered "$pid_file")" ]; then
        use_own_engine
        say "running: dockfleet delete -f $example"
        # Whatever cannot be removed goes with the engine.
        "$dockfleet" delete -f "$example" || true
        say "stopping the engine in .quickstart"
        end_process "$pid_file" 30
    elif [ -e "$found_file" ]; then
        # shellcheck disable=SC1090
        . "$found_file"
        say "running: dockfleet delete -f $example"
        "$dockfleet" delete -f "$example" || status=$?
        if [ $status != 0 ]; then
            say "something could not be removed; see above, and run make quickstart-down again"
            return $status
        fi
        say "the engine goes on; volume shop-data stays on it, as its deletionPolicy says"
        say "(to remove it with its data: docker volume rm shop-data)"
    fi
    if [ -e "$home/data" ]; then
        say "removing .quickstart, the engine's data and volume shop-data included"
        "${as_root[@]}" rm -rf --one-file-system "$home"
    else
        rm -rf "$home"
    fi
}

cd "$top"
case ${1:-} in
up | down) "$1" ;;
*) die "usage: quickstart.sh up|down" ;;
esac
