#!/usr/bin/env bash
# Brings everything the demo and the tests need, and nothing twice: distribution packages, Kafka's
# jars from Maven Central, and the archives made of them. Safe to run again; takes no time when
# nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

KAFKA=4.1.2
OUT=target/kafka

packages() {
    local wanted=()
    need() { command -v "$1" >/dev/null 2>&1 || wanted+=("$2"); }
    need cc build-essential
    need make make
    need mvn maven
    need python3 python3
    need ip iproute2
    need unshare util-linux
    need ps procps
    need curl curl
    need setpriv util-linux
    need update-ca-certificates ca-certificates
    python3 -c 'import ensurepip, venv' 2>/dev/null || wanted+=(python3-venv)
    java -version 2>&1 | grep -qE 'version "(1[7-9]|[2-9][0-9])' || wanted+=(openjdk-17-jre-headless)
    [ ${#wanted[@]} -eq 0 ] && return
    [ "$(id -u)" = 0 ] || die "these packages are missing and only root can install them: ${wanted[*]}"
    command -v apt-get >/dev/null || die "these packages are missing and this is not Debian or Ubuntu: ${wanted[*]}"
    say "installing ${wanted[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update
    apt-get -qy install --no-install-recommends "${wanted[@]}"
}

toolchain() {
    if ! command -v cargo >/dev/null 2>&1 && [ -x "$HOME/.cargo/bin/cargo" ]; then
        die "cargo is installed but not on PATH: run  . \"\$HOME/.cargo/env\"  and try again"
    fi
    command -v cargo >/dev/null 2>&1 && return
    say "no Rust toolchain: fetching one with rustup"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal -c clippy -c rustfmt \
        || die "cannot fetch a Rust toolchain; install one (https://rustup.rs) and try again"
    die "a Rust toolchain was installed: run  . \"\$HOME/.cargo/env\"  and try again"
}

# jars NAME: the runtime jars of kafka/NAME/pom.xml in $OUT/NAME/libs, unless they are there already.
jars() {
    local name=$1 pom=kafka/$1/pom.xml stamp=$OUT/$1/stamp sum
    sum=$(sha256sum <"$pom")
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && return
    say "fetching the jars of $name (Kafka $KAFKA) through Maven"
    rm -rf "${OUT:?}/$name"
    mkdir -p "$OUT/$name"
    local log=$OUT/$name.log
    mvn -B -ntp -f "$pom" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$PWD/$OUT/$name/libs" >"$log" 2>&1 &
    local maven=$!
    while kill -0 $maven 2>/dev/null; do
        sleep 2
        printf '    %s jars, %s\n' "$(find "$OUT/$name/libs" -name '*.jar' 2>/dev/null | wc -l)" \
            "$(du -sh "$OUT/$name/libs" 2>/dev/null | cut -f1)"
    done
    wait $maven || { tail -n 20 "$log" >&2; die "Maven failed; its log is $log"; }
    echo "$sum" >"$stamp"
}

# archive FILE DIRECTORY NAME: FILE holds DIRECTORY's content below NAME/; the same bytes each time.
archive() {
    local file=$OUT/$1 directory=$OUT/$2 name=$3
    [ "$file" -nt "$directory/../stamp" ] && return
    say "making $file"
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode='u=rwX,go=rX' \
        -C "$directory" --transform "s,^\.,$name," -cf - . | gzip -n -1 >"$file.new"
    mv "$file.new" "$file"
}

packages
toolchain
mkdir -p "$OUT"
jars worker
jars broker
jars connect-file
archive "kafka-connect-$KAFKA.tgz" worker/libs "kafka-$KAFKA/libs"
archive "kafka-broker-$KAFKA.tgz" broker/libs "kafka-broker-$KAFKA/libs"
archive connect-file-plugin.tar.gz connect-file/libs connect-file
say "everything is set up"
