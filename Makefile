# Two commands do everything, set-up included: `make assemble` and `make test`.

SHELL := /bin/bash
CARGO := cargo
A ?= coins-secure
# Every component there is, by its folder's name.
COMPONENTS = $(notdir $(patsubst %/component.yaml,%,$(wildcard sidecars/*/component.yaml apps/*/component.yaml)))
export CARGO_TERM_COLOR ?= auto

.DEFAULT_GOAL := help
.PHONY: help setup build assemble up test lint drift bench

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

require-rust:
	@command -v $(CARGO) >/dev/null || { echo "make: cargo is missing. Install Rust 1.95 or newer with rustup and run this again." >&2; exit 1; }
.PHONY: require-rust

assemble: require-rust ## write the documents of every assembly (needs only Rust)
	@$(CARGO) build --locked --quiet --profile quick -p assemble --no-default-features
	@target/quick/assemble render --all

setup: ## install what the build and the tests need
	@tests/setup test

build: ## build every program
	@tests/setup build
	$(CARGO) build --locked --workspace

# INPUT and OUTPUT are for a task that works on a file, OTLP for where telemetry goes.
up: ## run an assembly here, as Fargate would: make up A=coins-secure
	@tests/setup build
	@$(CARGO) build --locked --quiet -p assemble $(addprefix -p ,$(COMPONENTS)) --no-default-features --features assemble/up
	@target/debug/assemble up $(A) \
	    $(if $(INPUT),--env thumbnail:THUMBNAIL_INPUT="$(abspath $(INPUT))" --env thumbnail:THUMBNAIL_OUTPUT="$(abspath $(or $(OUTPUT),$(basename $(INPUT)).jpg))") \
	    $(if $(OTLP),--value otlp="$(OTLP)") $(ARGS)

test: ## every test; says by name what it skips
	@tests/setup test
	$(CARGO) build --locked --workspace --all-targets
	$(CARGO) test --locked --workspace --no-fail-fast

lint: ## format and clippy, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

drift: ## fail when a committed document is not what the code would write
	@tests/drift

bench: ## measure; figures stand in the README of each part
	@tests/bench
