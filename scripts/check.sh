#!/usr/bin/env bash
# All that CI runs: the README's test command (one of the tests runs its demo), formatting, lints and
# documentation.
# Installs what a new Debian or Ubuntu machine lacks. Usage: scripts/check.sh
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
# A build from nothing takes longer and more disk when it prepares for the next.
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}

step() { printf '\n== %s (%d s)\n' "$*" "$((SECONDS - started))"; }

step "what this machine lacks"
need=()
command -v cc >/dev/null || need+=(build-essential)
command -v git >/dev/null || need+=(git)
command -v objcopy >/dev/null || need+=(binutils)
command -v go >/dev/null || need+=(golang-go) # `go tool pprof` reads what we write
command -v protoc >/dev/null || need+=(protobuf-compiler) # so does protoc
command -v callgrind_annotate >/dev/null || need+=(valgrind) # and callgrind's own reader
command -v eu-strip >/dev/null || need+=(elfutils)           # fixtures of the symbolizer
command -v dwz >/dev/null || need+=(dwz)
command -v xz >/dev/null || need+=(xz-utils)
command -v musl-gcc >/dev/null || need+=(musl-tools)
if [ ${#need[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
    else
        echo "not installed, and not allowed to install: ${need[*]}"
    fi
fi
# Viewers that read what we write come while the lints run, into their default folder; tests of those
# that do not come are skipped and say so.
viewers=
if command -v npm >/dev/null && command -v python3 >/dev/null; then
    timeout 120 scripts/viewers.sh >/dev/null 2>&1 & viewers=$!
fi
rustup component add rustfmt clippy >/dev/null 2>&1 || true # already there, or no rustup: the steps below tell

probe=$(mktemp)
trap 'rm -f "$probe"' EXIT
cc -o "$probe" scripts/perf-opens.c
if why=$("$probe"); then
    export HOTPROOF_REQUIRE_PERF=1
    echo "perf events open here: a live test that skips is a failure"
else
    echo "perf events do not open here ($why): live tests are skipped and say so"
fi

step "formatting"
cargo fmt --all --check

step "lints"
cargo clippy --locked --workspace --all-targets -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet

if [ -n "$viewers" ] && ! wait "$viewers"; then
    echo "not all viewers of scripts/viewers.sh are here"
fi

step "tests: cargo test"
cargo test --locked

step "done"
