#!/usr/bin/env bash
# Installs what building and testing Dockfleet needs and this machine lacks. Safe to repeat.
#
# It installs Debian packages and, where Debian's Go is too old to fetch a newer one
# by itself, a Go toolchain from the Go module proxy into Dockfleet's own cache.
# It changes nothing else on the machine, and removes no package.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${DOCKFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dockfleet}
packages=(docker.io iptables iproute2 busybox-static libseccomp-dev pkg-config gcc libc6-dev
    curl ca-certificates util-linux bsdutils procps openssl openssh-client dropbear-bin openssh-sftp-server
    restic libfaketime)

say() { echo "deps.sh: $*"; }
# at_least VERSION NEEDED
at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

if ! command -v apt-get >/dev/null; then
    say "this system has no apt-get; please install, by its own means:"
    say "  ${packages[*]}"
    say "  (the Docker Engine 20.10 with its command line, and Go 1.21 or newer)"
    exit 1
fi
root=()
if [ "$(id -u)" != 0 ]; then
    root=(sudo)
fi

updated=
# install PACKAGE...: those of them that are missing
install() {
    local missing=() package
    for package; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            missing+=("$package")
        fi
    done
    if [ ${#missing[@]} = 0 ]; then
        return
    fi
    if [ -z "$updated" ]; then
        say "reading the package lists"
        "${root[@]}" apt-get update -q
        updated=yes
    fi
    say "installing ${missing[*]}"
    # docker.io conflicts with docker-ce: better to fail than to take somebody's engine away.
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends --no-remove "${missing[@]}"
}

had_engine=$(command -v dockerd || true)
install "${packages[@]}"
# Newer Debian has the command line in a package of its own.
command -v docker >/dev/null || install docker-cli
say "Debian packages: all there"
if [ -z "$had_engine" ] && [ -d /run/systemd/system ]; then
    say "Debian starts its Docker Engine as a service. The tests start their own and do not need it;"
    say "to stop it: sudo systemctl disable --now docker.socket docker.service"
fi

# Go: from 1.21 on it fetches the version that a go.mod asks for by itself.
fetches_itself=1.21
needed=$(sed -n 's/^go //p' "$here"/*/go.mod | sort -V | tail -n 1)
go_version() { # go_version PROGRAM
    GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null | sed 's/^go//; s/ .*//'
}
if ! command -v go >/dev/null && [ ! -x "$cache/go/bin/go" ]; then
    install golang-go
fi
for go in "$cache/go/bin/go" "$(command -v go || true)"; do
    if [ -x "$go" ] && at_least "$(go_version "$go")" "$needed"; then
        say "Go $(go_version "$go"): $go"
        exit 0
    fi
done
version=$(go_version go)
if at_least "$version" "$fetches_itself"; then
    say "Go $version: fetches $needed by itself when it is needed"
    exit 0
fi

say "Go $version is too old; fetching $needed from the Go module proxy into $cache"
module=golang.org/toolchain@v0.0.1-go$needed.$(go env GOOS)-$(go env GOARCH)
mkdir -p "$cache"
work=$(mktemp -d "$cache/.part-go-XXXXXX")
# What Go downloads is write-protected.
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
# The module's checksum is verified like that of any other module.
(cd "$work" && GOFLAGS= GO111MODULE=on GOMODCACHE=$work/modules go mod download "$module")
tree=$work/modules/$module
chmod -R u+w "$tree"
# A module holds neither permissions nor further go.mod files; newer versions of Go restore both themselves.
chmod +x "$tree"/bin/* "$tree"/pkg/tool/*/*
find "$tree/src" -name _go.mod | while read -r file; do
    cp "$file" "${file%_go.mod}go.mod"
done
rm -rf "$cache/go"
mv "$tree" "$cache/go"
say "Go $(go_version "$cache/go/bin/go"): $cache/go/bin/go (build.sh finds it there)"
