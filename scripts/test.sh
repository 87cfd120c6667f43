#!/usr/bin/env bash
# Runs every test. The parts (packed charms, simulator, fixtures) are there already: `make test` made them.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

started=$SECONDS
say "running the tests of every crate"
cargo test --workspace --locked
say "running the tests with real Kafka and real Kafka Connect"
cargo test --locked -p kafka-connect-charm --test suite -- --ignored --test-threads 1
say "every test passed, in $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s"
