# Two commands do everything, set-up included: `make assemble` and `make test`.

SHELL := /bin/bash
CARGO := cargo
A ?= coins-secure
# The names of all component folders.
COMPONENTS = $(notdir $(patsubst %/component.yaml,%,$(wildcard sidecars/*/component.yaml apps/*/component.yaml)))
export CARGO_TARGET_DIR := $(CURDIR)/target
export A INPUT OUTPUT OTLP

.DEFAULT_GOAL := help
.PHONY: help setup build assemble up images test lint drift bench fuzz require-rust

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

assemble: require-rust ## write the documents of every assembly (needs only Rust)
	@$(CARGO) build --locked --quiet --profile quick -p assemble --no-default-features
	@target/quick/assemble render --all

setup: ## install what the build and the tests need
	@tests/setup test

build: ## build every program (debug)
	@tests/setup build
	$(CARGO) build --locked --workspace

# The command has its own directory: with fewer features it would replace that of `make build`.
# INPUT (a file or URL) and OUTPUT are for a task that works on a video; OTLP is the endpoint for telemetry.
up: ## run an assembly locally, as Fargate would: make up A=coins-secure
	@tests/setup build
	@$(CARGO) build --locked --quiet --target-dir target/up -p assemble --no-default-features --features up
	@$(CARGO) build --locked --quiet $(addprefix -p ,$(COMPONENTS))
	@place() { case "$$1" in *://*) echo "$$1" ;; *) realpath -m -- "$$1" ;; esac; }; \
	picture="$${INPUT##*/}"; picture="$${picture%.*}.jpg"; \
	set -- "$$A"; \
	[ -z "$$INPUT" ] || set -- "$$@" --env "thumbnail:THUMBNAIL_INPUT=$$(place "$$INPUT")" \
	    --env "thumbnail:THUMBNAIL_OUTPUT=$$(place "$${OUTPUT:-$$picture}")"; \
	[ -z "$$OTLP" ] || set -- "$$@" --value "otlp=$$OTLP"; \
	exec target/up/debug/assemble up "$$@" $(ARGS)

# ARGS are further arguments: make images ARGS="--compression gzip".
images: require-rust ## build the image of every component; fails if one is over its budget
	@tests/setup images
	@$(CARGO) build --locked --quiet -p assemble
	@target/debug/assemble images build $(ARGS)

# Fetches the crates of all platforms: a test reads the dependency graph from cargo, offline.
test: ## run every test; names what it skips
	@tests/setup test
	$(CARGO) fetch --locked --quiet
	$(CARGO) build --locked --workspace --all-targets
	$(CARGO) test --locked --workspace --no-fail-fast

lint: ## rustfmt, clippy with warnings denied, words and sizes
	$(CARGO) fmt --all --check
	@# The rules are modules that a macro declares, which cargo fmt does not follow.
	rustfmt --edition 2024 --check assemblies/ecs-rules/src/rules/*/*.rs assemblies/assembly/src/rules/m*.rs
	@tests/lint-style
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

drift: ## fail if a committed document differs from what the code writes
	@tests/drift

bench: build ## measure against peers; figures are in the README or docs page of each part
	$(CARGO) build --locked --profile dist -p assemble --no-default-features --features up
	@tests/setup bench
	@tests/bench
	@tests/bench-assemble
	@tests/bench-proxy
	@tests/bench-auth

fuzz: ## fuzz the parsers, FUZZ_SECONDS (60) per target
	@tests/fuzz/run

require-rust:
	@command -v $(CARGO) >/dev/null || { echo "make: cargo is missing. Install Rust 1.95 or newer with rustup and run this again." >&2; exit 1; }
	@command -v cc >/dev/null || { echo "make: Rust needs a C linker, and there is no cc. On Debian: apt-get install gcc libc6-dev" >&2; exit 1; }
	@rustc --version | awk '{ split($$2, v, "."); exit !(v[1] > 1 || v[2] >= 95) }' || { echo "make: $$(rustc --version) is too old: Rust 1.95 or newer is needed; run: rustup update" >&2; exit 1; }
