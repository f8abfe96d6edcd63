#!/usr/bin/env bash
# Builds a set of the programs that tests and checks run, from source, into a
# cache outside target/, and prints the folder they are in.
#
#   build.sh kubernetes   etcd, kube-apiserver, kube-controller-manager, kubectl
#   build.sh engine       dockerd, docker-proxy, containerd, its shim, runc
#   build.sh kstatus      kstatus, argo-health: what GitOps tools make of an object
#   build.sh helm         helm
#   build.sh promtool     promtool
#   build.sh versitygw    versitygw: an S3 server for backups
#   build.sh restserver   rest-server: restic's REST server for backups
#   build.sh actionlint   actionlint: checks .github/workflows
#   build.sh deny         cargo-deny: checks dependencies by deny.toml
#
# A set is a folder here with a recipe.sh, which says what is built, and a Go
# module, which names the versions (deny has them in its recipe). The folder that
# is printed is named after all files of the set, so that a changed version is
# built anew and an unchanged one never. It appears whole or not at all: a build
# that is cut off leaves nothing that looks finished.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
set_name=${1:?usage: build.sh SET, which is a folder beside this script}
if [ ! -f "$here/$set_name/recipe.sh" ]; then
    echo "build.sh: no such set: $set_name" >&2
    exit 1
fi
cache=${DOCKFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dockfleet}
key=$(cd "$here/$set_name" && find . -type f | LC_ALL=C sort | xargs cat | sha256sum | cut -c1-12)
out=$cache/$set_name-$key

if [ -d "$out" ]; then
    echo "$out"
    exit 0
fi
# Where the system's Go is too old to fetch a newer one, deps.sh puts one here.
PATH=$cache/go/bin:$PATH
if [ -f "$here/$set_name/go.mod" ] && ! command -v go >/dev/null; then
    echo "build.sh: 'go' is not installed; \`make deps\` installs it" >&2
    exit 1
fi

mkdir -p "$cache"
# Two builds of one set at once would do the work twice.
exec 9>"$cache/$set_name.lock"
flock 9
if [ -d "$out" ]; then
    echo "$out"
    exit 0
fi
part=$cache/.part-$set_name-$key
rm -rf "$part"
mkdir -p "$part"
cd "$here/$set_name"
export GOFLAGS=-mod=readonly GOTOOLCHAIN=auto
version_of() { go list -m -f '{{.Version}}' "$1"; }
build() { # build OUTPUT PACKAGE LDFLAGS [go build flags]
    local name=$1 package=$2 ldflags=$3
    shift 3
    echo "build.sh: building $name" >&2
    go build -trimpath -ldflags "-s -w $ldflags" "$@" -o "$part/$name" "$package" >&2
}

# shellcheck source=/dev/null
. "$here/$set_name/recipe.sh"
mv "$part" "$out"
echo "$out"
