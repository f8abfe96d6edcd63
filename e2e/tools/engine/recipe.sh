# What is built of this module. Sourced by ../build.sh.
# shellcheck shell=bash

export CGO_ENABLED=0
moby=github.com/moby/moby/v2
build dockerd $moby/cmd/dockerd "-X $moby/dockerversion.Version=29-dev"
build docker-proxy $moby/cmd/docker-proxy ""
build containerd github.com/containerd/containerd/v2/cmd/containerd ""
build containerd-shim-runc-v2 github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2 ""
# runc enters namespaces from C code, so it is the one that needs cgo.
CGO_ENABLED=1 build runc github.com/opencontainers/runc "" -tags seccomp
