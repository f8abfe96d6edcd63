# What is built of this module. Sourced by ../build.sh.
# shellcheck shell=bash

export CGO_ENABLED=0
helm=helm.sh/helm/v3
minor=$(version_of k8s.io/client-go)
minor=${minor#v0.}
minor=${minor%%.*}
# Without these, helm takes itself for v3.0 and every cluster that it does not see for v1.20.
stamp="-X $helm/internal/version.version=$(version_of $helm)"
for package in pkg/lint/rules pkg/chartutil; do
    stamp+=" -X $helm/$package.k8sVersionMajor=1 -X $helm/$package.k8sVersionMinor=$minor"
done
build helm $helm/cmd/helm "$stamp"
