# The image of Dockfleet: one static program and nothing else.
#
#   make image                                  for this machine
#   make image PLATFORM=linux/arm64             for another one: cross-compiled, nothing is emulated
#   make image PROGRAM=given                    with a program that was compiled elsewhere, by
#                                               `scripts/compile-static.sh`: no registry is asked
#
# It needs BuildKit, which is what `docker build` uses since Docker 23.
#
# The version of rust-toolchain.toml. Give it with its digest to pin it for good: RUST_IMAGE=...@sha256:...
ARG RUST_IMAGE=docker.io/library/rust:1.95.0-slim-bookworm
ARG PROGRAM=built

FROM --platform=$BUILDPLATFORM ${RUST_IMAGE} AS built
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
        gcc-x86-64-linux-gnu libc6-dev-amd64-cross gcc-aarch64-linux-gnu libc6-dev-arm64-cross \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ARG TARGETARCH
# The time of the commit: `make image` gives it. Files in the image get it.
ARG SOURCE_DATE_EPOCH=0
RUN scripts/compile-static.sh ${TARGETARCH} \
 && cp -p target/image/${TARGETARCH}/dockfleet /dockfleet

FROM scratch AS given
ARG TARGETARCH
COPY target/image/${TARGETARCH}/dockfleet /dockfleet

FROM ${PROGRAM} AS program

FROM scratch AS runtime
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="Dockfleet" \
      org.opencontainers.image.description="Keeps the Docker networks and volumes of a fleet of Docker hosts the way YAML says" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=program /dockfleet /dockfleet
# Nobody. The controller needs no more; an agent is run as who may use the engine's socket (docs/image.md).
USER 65532:65532
ENTRYPOINT ["/dockfleet"]
