# What is built of this module. Sourced by ../build.sh.
# shellcheck shell=bash

export CGO_ENABLED=0
versitygw=github.com/versity/versitygw
build versitygw $versitygw/cmd/versitygw "-X main.Version=$(version_of $versitygw)"
