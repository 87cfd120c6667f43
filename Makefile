# One line for each thing one does here; `make help` lists them. Anything with an `if` in it is in
# scripts/ or xtask/. CARGO_TARGET_DIR is honoured; without it everything made is below target/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup build pack fixtures demo-parts demo demo-down test unit scenarios e2e long lint format fuzz histories bench docs \
	machine-test check-alone check ci clean

# Absolute, for tests run in their crate's directory.
export CARGO_TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
TOOLS := $(CARGO_TARGET_DIR)/tools
# Where rustup puts cargo, for shells that have not read its profile.
export PATH := $(HOME)/.cargo/bin:$(PATH)
# Keeps this machine's paths out of what is shipped, so that two checkouts give the same bytes.
REMAP := --remap-path-prefix=$(CURDIR)=/charm --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo
# The crates whose tests need neither root nor a JVM.
UNIT := connect-core connect-client connect-gateway connect-plugins hook-tools juju-sim-model testkit xtask

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing: packages, toolchain, Kafka's jars
	@scripts/setup.sh

build: setup ## the shipped programs (release), and the tools of the demo and the tests
	RUSTFLAGS="$(REMAP)" cargo build --locked --release -p kafka-connect-charm -p connect-gateway -p connect-integrator
	cargo build --locked --profile tools -p juju-sim -p demo -p testkit -p xtask

pack: build ## the charms, packed, in target/pack
	@$(TOOLS)/xtask pack

fixtures: setup ## the test charms, ready to deploy, in target/fixtures
	@scripts/fixtures.sh

demo-parts: setup build pack fixtures ## everything the demo and the tests run

demo: demo-parts ## a real broker, two workers, records moving, a verdict (KEEP=1 leaves it running)
	@$(TOOLS)/demo run $(if $(filter 1,$(KEEP)),--keep)

demo-down: ## end a demo that was kept running
	@$(TOOLS)/demo down

test: demo-parts ## every test, real Kafka and Kafka Connect included
	@scripts/test.sh

unit: ## the tests that need neither root nor a JVM
	cargo test --locked $(UNIT:%=-p %)

scenarios: demo-parts ## the shipped binary in the simulated model
	cargo test --locked -p kafka-connect-charm --test suite scenarios

e2e: demo-parts ## real Kafka and real Kafka Connect only
	cargo test --locked -p kafka-connect-charm --test suite -- --ignored --test-threads 1

long: demo-parts ## what `make test` leaves out: a roll under a client at each door (3 minutes)
	cargo test --locked -p kafka-connect-charm --test suite clients_of_every_door -- --ignored --nocapture

lint: ## clippy on all targets, warnings denied; formatting
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

format: ## format the code
	cargo fmt --all

machine-test: build ## the units under a real systemd, in a container (needs systemd-container; about a minute)
	@scripts/machine-test.sh

fuzz: ## mutate archives and requests for long: SECONDS each target (600), from SEED (the time)
	export FUZZ_SECONDS=$(or $(SECONDS),600) FUZZ_SEED=$(or $(SEED),$(shell date +%s)); \
	cargo test --locked -p connect-plugins --test fuzz -- --nocapture; \
	cargo test --locked -p connect-gateway --test gateway fuzz:: -- --nocapture

histories: ## N random histories of several units (10000), from SEED (the time), each to an end as of a fresh deployment
	PROPTEST_CASES=$(or $(N),10000) HISTORIES_SEED=$(or $(SEED),$(shell date +%s)) \
	cargo test --locked --workspace --test core --profile tools -- histories:: --nocapture

bench: demo-parts ## compare with the alternatives (installs haproxy), side by side, in one run (ONLY=group,group)
	@scripts/bench-tools.sh
	RUSTFLAGS="$(REMAP)" cargo build --locked --release -p connect-plugins
	@$(TOOLS)/xtask bench $(if $(ONLY),--only $(ONLY))

docs: ## the reference pages that come from YAML; the crates' docs, warnings denied
	cargo run -q --locked -p xtask -- docs
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

check-alone: ## check each crate with the features it asks for and no others
	@scripts/check-alone.sh

check: lint docs check-alone test ## everything that must hold before a merge

ci: ## the same, with the time of each stage
	@scripts/ci.sh

clean: ## end a demo that was kept running, and remove everything made here
	@scripts/clean.sh
