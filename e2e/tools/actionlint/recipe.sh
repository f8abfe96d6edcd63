# What is built of this module. Sourced by ../build.sh.
# shellcheck shell=bash

export CGO_ENABLED=0
actionlint=github.com/rhysd/actionlint
build actionlint $actionlint/cmd/actionlint "-X $actionlint.version=$(version_of $actionlint)"
