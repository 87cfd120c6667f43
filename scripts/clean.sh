#!/usr/bin/env bash
# Removes what was made here. A demo that was kept running has its model in there: it is ended first.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

if [ -x "$TARGET/tools/demo" ]; then
    "$TARGET/tools/demo" down
fi
rm -rf "${TARGET:?}"
