# `make help` lists the targets. Each can be run alone, and again.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

##

.PHONY: quickstart
quickstart: ## build, and apply examples/quickstart to the Docker Engine here (or to one of its own)
	@scripts/quickstart.sh up

.PHONY: quickstart-down
quickstart-down: ## undo quickstart
	@scripts/quickstart.sh down

.PHONY: fleet-up
fleet-up: ## three Docker hosts with agents, a Kubernetes API server, a controller: all on this machine
	@scripts/fleet.sh up

.PHONY: fleet-down
fleet-down: ## end everything that fleet-up started
	@scripts/fleet.sh down

##

.PHONY: test
test: deps compile lint doc unit e2e ## deps, compile, lint, doc, unit, e2e: everything; what CI runs
	@echo "make test: all passed"

.PHONY: deps
deps: ## install the Debian packages that tests need (root or sudo)
	e2e/tools/deps.sh

.PHONY: tools
tools: ## build Kubernetes, the newest Docker Engine and other tools from source, once per version
	e2e/tools/build.sh actionlint
	e2e/tools/build.sh deny
	e2e/tools/build.sh kubernetes
	e2e/tools/build.sh engine
	e2e/tools/build.sh kstatus
	e2e/tools/build.sh helm
	e2e/tools/build.sh promtool
	e2e/tools/build.sh versitygw
	e2e/tools/build.sh restserver

.PHONY: compile
compile: ## tools, and all Rust code, side by side
	@$(MAKE) --no-print-directory tools & tools=$$!; \
	cargo test --locked --workspace --no-run; \
	wait $$tools

.PHONY: proof
proof: deps compile ## the long sweeps whole, and backups of full size (root or sudo)
	DOCKFLEET_PROOF=1 scripts/e2e.sh --test sweep --test leader
	DOCKFLEET_PROOF=1 scripts/e2e.sh --test standalone -- backup:: stores::
	PROPTEST_CASES=4096 cargo test --locked -p dockfleet-planner --test properties

.PHONY: lint
lint: deny actions ## formatting, clippy, dependencies, workflows; warnings are errors
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

.PHONY: deny
deny: ## licences, sources and duplicates of dependencies, by deny.toml
	"$$(e2e/tools/build.sh deny)/cargo-deny" --locked check -D warnings licenses bans sources

.PHONY: advisories
advisories: ## known vulnerabilities in dependencies (asks github.com for the RustSec database)
	"$$(e2e/tools/build.sh deny)/cargo-deny" --locked check -D warnings advisories

.PHONY: actions
actions: ## .github/workflows, with actionlint
	"$$(e2e/tools/build.sh actionlint)/actionlint" .github/workflows/*.yaml

.PHONY: doc
doc: ## API documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

.PHONY: unit
unit: ## unit, property and wire tests: no engine, no root
	cargo test --locked --no-fail-fast --workspace --exclude dockfleet-e2e

.PHONY: e2e
e2e: ## tests on real Docker Engines and a real API server (root or sudo)
	scripts/e2e.sh

##

.PHONY: build
build: ## the program, debug profile: target/debug/dockfleet
	cargo build --locked -p dockfleet

.PHONY: image
image: ## the image dockfleet:VERSION; the Dockerfile says what can be set
	@scripts/image.sh

.PHONY: generate
generate: ## write crds/manifests, and the chart's copies, from the types
	cargo run --locked -p dockfleet-crds --example generate -- crds/manifests
	cp crds/manifests/*.yaml charts/dockfleet/files/crds/

.PHONY: bench
bench: ## measure against the bare engine API, Ansible, docker compose, restic and tar (root or sudo)
	@scripts/bench.sh

.PHONY: scale
scale: ## measure fleets of 1,000 and 3,000 hosts with simulated engines (root or sudo)
	@scripts/scale.sh

.PHONY: fmt
fmt: ## format the code
	cargo fmt --all
