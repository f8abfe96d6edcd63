#!/usr/bin/env bash
# Builds the image dockfleet:VERSION with the Docker Engine here. The Dockerfile says what can be set.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$top"

command -v docker >/dev/null || die "docker is not installed"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
revision=$(git rev-parse HEAD)
time=$(git log -1 --format=%ct)
export DOCKER_BUILDKIT=1 SOURCE_DATE_EPOCH=$time
image=${IMAGE:-dockfleet}:${TAG:-$version}
docker build --target runtime --tag "$image" \
    ${PLATFORM:+--platform "$PLATFORM"} \
    ${RUST_IMAGE:+--build-arg "RUST_IMAGE=$RUST_IMAGE"} \
    --build-arg "PROGRAM=${PROGRAM:-built}" \
    --build-arg "SOURCE_DATE_EPOCH=$time" \
    --build-arg "VERSION=$version" \
    --build-arg "REVISION=$revision" \
    .
docker image inspect --format "$image: {{.Size}} bytes, {{.Os}}/{{.Architecture}}" "$image"
