# What the scripts in this folder share. Sourced by them, after `set -euo pipefail`.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034
target=${CARGO_TARGET_DIR:-$top/target}
# Debian keeps daemons where only root's PATH looks.
PATH=$PATH:/usr/sbin:/sbin

as_root=()
if [ "$(id -u)" != 0 ]; then
    as_root=(sudo)
fi

say() { echo "$(basename "$0" .sh): $*"; }
die() {
    say "$*" >&2
    exit 1
}

# install_packages PACKAGE...: those of them that are missing. Debian and its kin only.
install_packages() {
    local missing=() package
    for package; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            missing+=("$package")
        fi
    done
    if [ ${#missing[@]} = 0 ]; then
        return
    fi
    say "installing Debian packages: ${missing[*]}"
    "${as_root[@]}" apt-get update -q
    # docker.io conflicts with docker-ce: better to fail than to take somebody's engine away.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends --no-remove "${missing[@]}"
}

require_cargo() {
    command -v cargo >/dev/null ||
        die "cargo is not installed; install Rust with rustup (https://rustup.rs) and try again"
}

# build_programs PACKAGE...: with cargo, debug profile.
build_programs() {
    local packages=() package
    require_cargo
    if ! command -v cc >/dev/null; then
        command -v apt-get >/dev/null ||
            die "there is no C compiler; install gcc and the headers of libc, and try again"
        install_packages gcc libc6-dev
    fi
    for package; do
        packages+=(-p "$package")
    done
    say "building ${*} (minutes the first time, seconds after that)"
    (cd "$top" && cargo build --locked "${packages[@]}")
}

# build_static: the programs in the form in which Dockfleet is released, and those that measure it, into
# $target/static.
build_static() {
    local cpu arch
    cpu=$(uname -m)
    case $cpu in
    x86_64) arch=amd64 ;;
    aarch64) arch=arm64 ;;
    *) die "there is no release for $cpu" ;;
    esac
    require_cargo
    "$top/scripts/compile-static.sh" "$arch" -p dockfleet-bench
    mkdir -p "$target/static"
    install -m 0755 "$target/$cpu-unknown-linux-gnu/release/"dockfleet{,-bench,-scale} "$target/static"
}

# start_as_root LOG COMMAND...: prints the pid of what then runs on its own, without a terminal; a
# sudo that stayed in between would end with this shell, and the command with it.
start_as_root() {
    if [ ${#as_root[@]} -gt 0 ]; then
        say "that takes root: sudo may ask for your password" >&2
    fi
    # shellcheck disable=SC2016
    "${as_root[@]}" env PATH="$PATH" sh -c \
        'log=$1; shift; setsid "$@" </dev/null >"$log" 2>&1 & echo $!' start "$@"
}

# is_running PID: also when it is another user's.
is_running() { [ -d "/proc/$1" ]; }

# started_at PID: when the process began, in clock ticks since boot; empty when there is none.
# Together with the pid it names one process, also after the pid is somebody else's.
started_at() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    # The second field is a name in brackets that may hold anything; start time is the 22nd.
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    echo "${20}"
}

# remember FILE PID: so that only this very process is ended later.
remember() { echo "$2 $(started_at "$2")" >"$1"; }

# remembered FILE: the pid in it, if that very process still runs.
remembered() {
    local pid start
    read -r pid start 2>/dev/null <"$1" || return 0
    if [ -n "$start" ] && [ "$(started_at "$pid")" = "$start" ]; then
        echo "$pid"
    fi
}

# end_process FILE SECONDS: asks the process to end, and kills it when it does not.
end_process() {
    local pid waited=0
    pid=$(remembered "$1")
    if [ -z "$pid" ]; then
        return
    fi
    "${as_root[@]}" kill -TERM "$pid"
    while [ -n "$(remembered "$1")" ]; do
        if [ "$waited" -ge $(($2 * 10)) ]; then
            say "process $pid does not end by itself; killing it"
            "${as_root[@]}" kill -KILL "$pid"
        fi
        sleep 0.1
        waited=$((waited + 1))
    done
}
