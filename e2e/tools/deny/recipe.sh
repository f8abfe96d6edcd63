# Builds cargo-deny, the one program here that is not written in Go. Sourced by ../build.sh.
# shellcheck shell=bash

# renovate: datasource=crate depName=cargo-deny
version=0.20.2

# It runs for a second: without the optimizations of its own release profile it is built in two thirds of the time.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1
echo "build.sh: building cargo-deny" >&2
cargo install --quiet --locked --no-track --root "$part" --target-dir "$part/target" "cargo-deny@$version" >&2
mv "$part/bin/cargo-deny" "$part/cargo-deny"
rm -rf "$part/bin" "$part/target"
