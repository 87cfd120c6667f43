# What the scripts share. Sourced at the top of the repository.
TARGET=${CARGO_TARGET_DIR:-target}

if [ -t 1 ]; then
    say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
else
    say() { printf '==> %s\n' "$*"; }
fi

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}
