#!/usr/bin/env bash
# Makes the charms of tests/fixtures ready to deploy below target/fixtures: a copy of each, with the
# framework `ops` in venv/ of those that ask for it in a requirements.txt, as charmcraft packs it.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

FROM=tests/fixtures/charms
OUT=$TARGET/fixtures
# The interpreter that `#!/usr/bin/env python3` finds on a machine of the model.
PYTHON=/usr/bin/python3

# libraries REQUIREMENTS: prints the directory with what the file lists, installed once per content.
libraries() {
    local sum directory
    sum=$({ cat "$1"; $PYTHON --version; } | sha256sum | cut -c1-16)
    directory=$OUT/.libraries/$sum
    if [ ! -d "$directory" ]; then
        say "installing $(grep -v '^#' "$1" | tr '\n' ' ')for the fixture charms" >&2
        [ -x "$TARGET/venv/bin/pip" ] || $PYTHON -m venv "$TARGET/venv"
        mkdir -p "$OUT/.libraries"
        rm -rf "$directory.new"
        "$TARGET/venv/bin/pip" install --quiet --disable-pip-version-check --target "$directory.new" -r "$1" >&2
        mv "$directory.new" "$directory"
    fi
    echo "$directory"
}

mkdir -p "$OUT"
for charm in "$FROM"/*/; do
    name=$(basename "$charm")
    rm -rf "${OUT:?}/$name"
    cp -r "$charm" "$OUT/$name"
    if [ -f "$charm/requirements.txt" ]; then
        # A name of its own first: a failure inside the arguments of cp would go unseen.
        directory=$(libraries "$charm/requirements.txt")
        cp -r "$directory" "$OUT/$name/venv"
    fi
done
