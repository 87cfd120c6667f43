# One line for each thing one does here; `make help` lists them. Anything with an `if` in it is in
# scripts/ or xtask/. CARGO_TARGET_DIR is honoured; without it everything made is below target/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo-parts demo demo-down test unit scenarios e2e bench lint format check docs pack tools fixtures clean

TARGET := $(or $(CARGO_TARGET_DIR),target)
CARGO := cargo
# Where rustup puts cargo, for shells that have not read its profile.
export PATH := $(HOME)/.cargo/bin:$(PATH)

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing: packages, toolchain, Kafka's jars
	@scripts/setup.sh

demo: demo-parts ## a real broker, two workers, records moving, a verdict (KEEP=1 leaves it running)
	@$(TARGET)/tools/demo run $(if $(KEEP),--keep)

demo-down: ## end a demo that was kept running
	@$(TARGET)/tools/demo down

demo-parts: setup pack tools fixtures ## make everything the demo deploys, and the simulator

test: demo-parts ## every test, real Kafka and Kafka Connect included
	@scripts/test.sh

unit: ## the tests that need neither root nor Kafka, of the crates that decide
	$(CARGO) test --locked -p connect-core -p hook-tools -p connect-client -p juju-sim-model -p xtask

scenarios: demo-parts ## the shipped binary in the simulated model, script in, transcript out
	$(CARGO) test --locked -p kafka-connect-charm --test suite scenarios

e2e: demo-parts ## real Kafka, real Kafka Connect
	$(CARGO) test --locked -p kafka-connect-charm --test suite -- --ignored --test-threads 1

bench: demo-parts ## compare with the alternatives, side by side, in one run
	@$(TARGET)/tools/xtask bench

lint: ## clippy on all targets and docs, warnings denied; formatting
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --locked

format: ## format the code
	$(CARGO) fmt --all

check: lint test ## all that CI runs

docs: ## generate the reference pages and the crates' docs
	$(CARGO) run -q --locked -p xtask -- docs
	$(CARGO) doc --workspace --no-deps --locked

pack: setup ## the charms, packed, in target/pack
	@$(CARGO) run -q --locked --profile tools -p xtask -- pack

tools: setup ## the simulator and what runs beside the charm, in target/tools
	$(CARGO) build --locked --profile tools -p juju-sim -p demo -p xtask

fixtures: setup ## the test charms, ready to deploy, in target/fixtures
	@scripts/fixtures.sh

clean: ## remove everything made here
	rm -rf $(TARGET)
