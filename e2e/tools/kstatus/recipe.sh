# What is built of this module. Sourced by ../build.sh.
# shellcheck shell=bash

export CGO_ENABLED=0
build kstatus . ""
build argo-health ./argo-health ""
