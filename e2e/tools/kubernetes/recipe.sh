# What is built of this module. Sourced by ../build.sh.
# shellcheck shell=bash

export CGO_ENABLED=0
v=$(version_of k8s.io/kubernetes)
minor=${v#v1.}
minor=${minor%%.*}
# Without these, servers and clients report v0.0.0 and refuse version skew checks.
x=k8s.io/component-base/version
stamp="-X $x.gitVersion=$v -X $x.gitMajor=1 -X $x.gitMinor=$minor"
build etcd go.etcd.io/etcd/server/v3 ""
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver "$stamp"
build kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager "$stamp"
build kubectl k8s.io/kubernetes/cmd/kubectl "$stamp"
