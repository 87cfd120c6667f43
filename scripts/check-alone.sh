#!/usr/bin/env bash
# Checks each crate by itself: built with the whole workspace, a crate may live on a feature that only
# its neighbour asked for.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

names='import json, sys; print(*sorted(p["name"] for p in json.load(sys.stdin)["packages"]))'
crates=$(cargo metadata --no-deps --format-version 1 --locked | /usr/bin/python3 -c "$names")
for crate in $crates; do
    say "checking $crate alone"
    cargo check --quiet --locked -p "$crate"
done
