#!/usr/bin/env bash
# Brings everything the demo and the tests need, and nothing twice: distribution packages, Kafka's
# jars from Maven Central, and the archives made of them. Safe to run again; takes no time when
# nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

KAFKA=4.1.2
OUT=$TARGET/kafka
# Pinned, so that every Maven resolves alike.
COPY=org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy

packages() {
    local wanted=()
    need() { command -v "$1" >/dev/null 2>&1 || wanted+=("$2"); }
    need cc build-essential
    need make make
    need mvn maven
    need git git
    need curl curl
    need ip iproute2
    need unshare util-linux
    need ps procps
    need useradd passwd
    need update-ca-certificates ca-certificates
    # The distribution's own Python: the charms under test find no other on a machine.
    /usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null || wanted+=(python3 python3-venv)
    # Likewise its own Java; any other than the one at this path is not seen by the services.
    /usr/bin/java -version 2>&1 | grep -qE 'version "(1[7-9]|[2-9][0-9])' || wanted+=(openjdk-17-jre-headless)
    [ ${#wanted[@]} -eq 0 ] && return
    [ "$(id -u)" = 0 ] || die "these packages are missing and only root can install them: ${wanted[*]}"
    command -v apt-get >/dev/null || die "these packages are missing and this is not Debian or Ubuntu: ${wanted[*]}"
    say "installing ${wanted[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update
    apt-get -qy install --no-install-recommends "${wanted[@]}"
}

toolchain() {
    export PATH=$HOME/.cargo/bin:$PATH
    command -v cargo >/dev/null 2>&1 && return
    say "there is no cargo: fetching a Rust toolchain with rustup (https://rustup.rs)"
    local channel
    channel=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)
    curl --proto '=https' --tlsv1.2 -sSf --retry 3 https://sh.rustup.rs \
        | sh -s -- -y --no-modify-path --profile minimal --default-toolchain "$channel" -c clippy -c rustfmt \
        || die "cannot fetch a Rust toolchain; install one as https://rustup.rs says and try again"
}

# maven LOG ARGUMENTS...: runs Maven, telling of its progress; up to three times, as networks go.
maven() {
    local log=$1 attempt
    shift
    for attempt in 1 2 3; do
        # Maven checks each file against the checksum beside it; strictly, so that a bad one fails.
        mvn -B -C "$@" >"$log" 2>&1 &
        local maven=$! ticks=0
        while kill -0 $maven 2>/dev/null; do
            sleep 0.5
            ticks=$((ticks + 1))
            [ $((ticks % 10)) -eq 0 ] && printf '    %s files fetched\n' "$(grep -c 'Downloaded from' "$log")"
        done
        wait $maven && return
        [ "$attempt" = 3 ] || say "Maven failed; trying again (its log is $log)"
    done
    tail -n 20 "$log" >&2
    die "Maven failed three times; its log is $log"
}

# jars NAME: the runtime jars of kafka/NAME/pom.xml in $OUT/NAME/libs, unless they are there already.
jars() {
    local name=$1 pom=kafka/$1/pom.xml stamp=$OUT/$1/stamp sum
    sum=$(sha256sum <"$pom")
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && return
    say "fetching the jars of $name (Kafka $KAFKA) through Maven"
    rm -rf "${OUT:?}/$name"
    mkdir -p "$OUT/$name"
    maven "$OUT/$name.log" -f "$pom" "$COPY-dependencies" -DincludeScope=runtime \
        -DoutputDirectory="$(realpath "$OUT/$name")/libs"
    printf '    %s jars, %s\n' "$(find "$OUT/$name/libs" -name '*.jar' | wc -l)" "$(du -sh "$OUT/$name/libs" | cut -f1)"
    echo "$sum" >"$stamp"
}

# plugin NAME ARTIFACT: a connector's archive as it is published, in $OUT/NAME.tar.gz, and the same
# without ServiceLoader manifests, as older connectors come, in $OUT/NAME-bare.tar.
plugin() {
    local name=$1 artifact=$2 stamp=$OUT/$1/stamp
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$artifact" ] && return
    say "fetching $artifact through Maven"
    rm -rf "${OUT:?}/$name"
    mkdir -p "$OUT/$name"
    maven "$OUT/$name.log" "$COPY" -Dartifact="$artifact" -DoutputDirectory="$(realpath "$OUT/$name")"
    mv "$OUT/$name"/*.tar.gz "$OUT/$name.tar.gz"
    /usr/bin/python3 scripts/without-manifests.py "$OUT/$name.tar.gz" "$OUT/$name-bare.tar"
    printf '    %s jars, %s\n' "$(tar -tf "$OUT/$name.tar.gz" | grep -c '\.jar$')" "$(du -sh "$OUT/$name.tar.gz" | cut -f1)"
    echo "$artifact" >"$stamp"
}

# archive FILE DIRECTORY NAME: FILE holds DIRECTORY's content below NAME/; the same bytes each time.
archive() {
    local file=$OUT/$1 directory=$OUT/$2 name=$3
    [ "$file" -nt "$directory/../stamp" ] && return
    say "making $file"
    tar --format=gnu --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode='u=rwX,go=rX' \
        -C "$directory" --transform "s,^\.,$name," -cf - . | gzip -n -1 >"$file.new"
    mv "$file.new" "$file"
}

# The machine's own Java as an archive, for a charm on a machine that has none. With the times of its
# files: the class data archive names that of the modules it was made of.
jre() {
    local file=$OUT/jre.tgz home
    home=$(dirname "$(dirname "$(readlink -f /usr/bin/java)")")
    [ "$file" -nt "$home/release" ] && return
    say "making $file of $home"
    tar --format=gnu --dereference --owner=0 --group=0 --numeric-owner --mode='u=rwX,go=rX' --exclude=src.zip \
        --exclude=libatk-wrapper.so --transform 's,^,jre/,' -C "$home" -cf - bin conf legal lib release | gzip -n -1 >"$file.new"
    mv "$file.new" "$file"
}

packages
toolchain
mkdir -p "$OUT"
jars worker
jars broker
jars connect-file
plugin debezium-mysql io.debezium:debezium-connector-mysql:3.6.1.Final:tar.gz:plugin
archive "kafka-connect-$KAFKA.tgz" worker/libs "kafka-$KAFKA/libs"
archive "kafka-broker-$KAFKA.tgz" broker/libs "kafka-broker-$KAFKA/libs"
archive connect-file-plugin.tar.gz connect-file/libs connect-file
jre
say "everything is set up"
