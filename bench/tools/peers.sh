#!/usr/bin/env bash
# Installs a peer that the benchmarks compare Dockfleet with, and prints the folder its program is in.
#
#   peers.sh ansible   ansible-playbook with the collection community.docker, from PyPI
#   peers.sh compose   docker-compose, from Go modules
#
# Everything goes into Dockfleet's cache outside target/, nothing into the system. Safe to repeat:
# what is there is printed and left alone; a changed version here is installed beside the old one.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
peer=${1:?usage: peers.sh ansible|compose}
cache=${DOCKFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dockfleet}

say() { echo "peers.sh: $*" >&2; }
fail() {
    say "$*"
    exit 1
}

case $peer in ansible | compose) ;; *) fail "no such peer: $peer (ansible or compose)" ;; esac
key=$(cat "$here/$peer"/* "$here/peers.sh" | sha256sum | cut -c1-12)
out=$cache/bench-$peer-$key
# The last step of an installation; without it the folder is what an interrupted one left.
done_mark=$out/.installed

if [ ! -e "$done_mark" ]; then
    mkdir -p "$cache"
    # Two installations of one peer at once would get in each other's way.
    exec 9>"$cache/bench-$peer.lock"
    flock 9
fi
if [ ! -e "$done_mark" ]; then
    rm -rf "$out"
    case $peer in
    ansible)
        say "installing Ansible into $out (half a minute, 550 MB)"
        python=$(command -v python3) || fail "'python3' is not installed: apt-get install python3-venv"
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
            fail "Ansible 12 needs Python 3.11 or newer, and this is $("$python" --version)"
        # Its programs name their interpreter by path: it cannot be made elsewhere and moved.
        "$python" -m venv "$out" >&2 || fail "no virtual environment: apt-get install python3-venv"
        "$out/bin/pip" install --quiet --disable-pip-version-check \
            --requirement "$here/ansible/requirements.txt" >&2
        ;;
    compose)
        # Where the system's Go is too old to fetch a newer one, `make deps` puts one here.
        PATH=$cache/go/bin:$PATH
        command -v go >/dev/null || fail "'go' is not installed; \`make deps\` installs it"
        say "building docker-compose into $out (two minutes)"
        mkdir -p "$out/bin"
        cd "$here/compose"
        export GOFLAGS=-mod=readonly CGO_ENABLED=0
        module=github.com/docker/compose/v5
        version=$(go list -m -f '{{.Version}}' $module)
        go build -trimpath -ldflags "-s -w -X $module/internal.Version=$version" \
            -o "$out/bin/docker-compose" $module/cmd >&2
        ;;
    esac
    touch "$done_mark"
fi
echo "$out/bin"
