#!/usr/bin/env bash
# Every stage of continuous integration with its time. Cheap stages first; the tests last, so that
# the output ends with the test runner's own closing lines.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

times=()

# stage NAME COMMAND...
stage() {
    local name=$1 began=$SECONDS
    shift
    say "$name"
    "$@" || die "$name failed after $((SECONDS - began)) s"
    times+=("$(printf '%-14s %5d s' "$name" $((SECONDS - began)))")
}

stage setup make --no-print-directory setup
stage lint make --no-print-directory lint
stage docs make --no-print-directory docs
stage check-alone make --no-print-directory check-alone
stage parts make --no-print-directory demo-parts
stage compile-tests cargo test --locked --workspace --no-run
say "before the tests:"
printf '    %s\n' "${times[@]}" "$(printf '%-14s %5d s' together "$SECONDS")"
exec make --no-print-directory test
