#!/usr/bin/env bash
# Runs every test. The parts (packed charms, simulator, fixtures) are there already: `make test` made
# them. Last comes cargo, so that its closing lines are ours.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

# Tests marked `ignore` start real Kafka and real workers: after the others, and one at a time.
if [ -f tests/suite/main.rs ]; then
    say "running the tests of every crate"
    cargo test --workspace --locked --no-fail-fast
    say "telling the demo's story, for its verdict"
    "${CARGO_TARGET_DIR:-target}/tools/demo" run
    scripts/tutorial.sh
    say "running the tests with real Kafka and real Kafka Connect"
    # `make long` runs what is left out here.
    exec cargo test --locked -p kafka-connect-charm --test suite -- --ignored --test-threads 1 \
        --skip clients_of_every_door
fi
say "running the tests of every crate"
exec cargo test --workspace --locked --no-fail-fast
