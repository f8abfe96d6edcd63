#!/usr/bin/env bash
# Compiles the program for an image: compile-static.sh amd64|arm64, into target/image/ARCH/dockfleet.
# More arguments go to `cargo build`, such as `-p dockfleet-bench` for more programs of the same form.
# It is static (nothing of a distribution is needed to run it), and the same sources give the same file
# wherever they are compiled with the same tools: paths are taken out, its time is SOURCE_DATE_EPOCH.
# For the other architecture it takes its C compiler and library (gcc-aarch64-linux-gnu and
# libc6-dev-arm64-cross on Debian) and rustup.
set -euo pipefail
cd "$(dirname "$0")/.."

arch=${1:?usage: compile-static.sh amd64|arm64 [ARGUMENT OF CARGO...]}
shift
case $arch in
amd64) cpu=x86_64 ;;
arm64) cpu=aarch64 ;;
*)
    echo "compile-static.sh: no such architecture: $arch (amd64 or arm64)" >&2
    exit 1
    ;;
esac
triple=$cpu-unknown-linux-gnu
host=$(rustc -vV | sed -n 's/^host: //p')

if [ "$triple" != "$host" ]; then
    command -v "$cpu-linux-gnu-gcc" >/dev/null || {
        echo "compile-static.sh: $cpu-linux-gnu-gcc is not installed; on Debian: gcc-${cpu//_/-}-linux-gnu libc6-dev-$arch-cross" >&2
        exit 1
    }
    rustup target add "$triple"
    upper=$(tr 'a-z-' 'A-Z_' <<<"$triple")
    export "CC_${triple//-/_}=$cpu-linux-gnu-gcc" "CARGO_TARGET_${upper}_LINKER=$cpu-linux-gnu-gcc"
fi
# glibc since 2.34 looks names up without loading anything, so a static program of it does too.
# Its address is fixed: cli/build.rs says what the other form would cost.
export RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static \
 --remap-path-prefix=$PWD=/src --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
export CFLAGS="-ffile-prefix-map=$PWD=/src -ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}=/cargo"
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
cargo build --locked --release --target "$triple" -p dockfleet "$@"

out=target/image/$arch
mkdir -p "$out"
install -m 0755 "${CARGO_TARGET_DIR:-target}/$triple/release/dockfleet" "$out/dockfleet"
touch -d "@$SOURCE_DATE_EPOCH" "$out/dockfleet"
echo "$out/dockfleet: $(stat -c %s "$out/dockfleet") bytes"
