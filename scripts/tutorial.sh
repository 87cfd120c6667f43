#!/usr/bin/env bash
# Follows the tutorial: runs every command of the page, so that the page stays true. The first one,
# which builds the parts, is what `make test` has done already.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

page=docs/tutorial/first-records.md
commands=$(awk '/^```shell$/ { on = 1; next } /^```$/ { on = 0 } on' "$page" | grep -v '^make demo-parts$')
say "following $page"
# A page that breaks off must not leave its model behind.
trap 'JUJU_SIM_DIR=$PWD/target/tutorial-model target/tools/juju-sim destroy-model >/dev/null 2>&1 || true' EXIT
printf 'set -euo pipefail\n%s\n' "$commands" | timeout 300 bash -x 2>&1 | sed 's/^/    /'
