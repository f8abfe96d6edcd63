#!/usr/bin/env bash
# Builds a set of the programs that the end-to-end tests run, from Go modules,
# into a cache outside target/, and prints the folder they are in.
#
#   build.sh kubernetes   etcd, kube-apiserver, kube-controller-manager, kubectl
#   build.sh engine       dockerd, docker-proxy, containerd, its shim, runc
#
# The folder is named after the set's go.mod and go.sum and this script, so that
# a changed version is built anew and an unchanged one never. It appears whole
# or not at all: a build that is cut off leaves nothing that looks finished.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
set_name=${1:?usage: build.sh kubernetes|engine}
cache=${DOCKFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dockfleet}
key=$(cat "$here/$set_name/go.mod" "$here/$set_name/go.sum" "$here/build.sh" | sha256sum | cut -c1-12)
out=$cache/$set_name-$key

if [ -d "$out" ]; then
    echo "$out"
    exit 0
fi
# Where the system's Go is too old to fetch a newer one, deps.sh puts one here.
PATH=$cache/go/bin:$PATH
command -v go >/dev/null || {
    echo "build.sh: 'go' is not installed; \`make deps\` installs it" >&2
    exit 1
}

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

case $set_name in
kubernetes)
    export CGO_ENABLED=0
    v=$(version_of k8s.io/kubernetes)
    minor=${v#v1.}
    minor=${minor%%.*}
    # Without these, servers and clients report v0.0.0 and refuse version skew checks.
    x=k8s.io/component-base/version
    stamp="-X $x.gitVersion=$v -X $x.gitMajor=1 -X $x.gitMinor=$minor"
    build etcd go.etcd.io/etcd/server/v3 ""
    build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver "$stamp"
    build kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager "$stamp"
    build kubectl k8s.io/kubernetes/cmd/kubectl "$stamp"
    ;;
engine)
    export CGO_ENABLED=0
    moby=github.com/moby/moby/v2
    build dockerd $moby/cmd/dockerd "-X $moby/dockerversion.Version=29-dev"
    build docker-proxy $moby/cmd/docker-proxy ""
    build containerd github.com/containerd/containerd/v2/cmd/containerd ""
    build containerd-shim-runc-v2 github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2 ""
    # runc enters namespaces from C code, so it is the one that needs cgo.
    CGO_ENABLED=1 build runc github.com/opencontainers/runc "" -tags seccomp
    ;;
*)
    echo "build.sh: no such set: $set_name (kubernetes or engine)" >&2
    exit 1
    ;;
esac
mv "$part" "$out"
echo "$out"
