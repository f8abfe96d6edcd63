# What is built of this module. Sourced by ../build.sh.
# shellcheck shell=bash

export CGO_ENABLED=0
# Without service discovery: half the modules, and rules need none of it.
build promtool github.com/prometheus/prometheus/cmd/promtool \
    "-X github.com/prometheus/common/version.Version=$(version_of github.com/prometheus/prometheus)" \
    -tags remove_all_sd
