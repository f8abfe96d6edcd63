# What is built of this module. Sourced by ../build.sh.
# shellcheck shell=bash

export CGO_ENABLED=0
build rest-server github.com/restic/rest-server/cmd/rest-server ""
