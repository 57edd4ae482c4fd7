#!/usr/bin/env bash
# Compares two published versions of a crate: both are unpacked into one repository as two commits,
# together with a driver that does a fixed amount of work, and `hotproof compare` runs on them.
# Usage: scripts/compare-versions.sh CRATE OLD NEW DRIVER.rs [OPTIONS OF hotproof compare...]
# Example: scripts/compare-versions.sh strsim 0.10.0 0.11.1 tests/programs/drive-strsim.rs
set -euo pipefail
[ $# -ge 4 ] || { sed -n '2,5s/^# //p' "$0"; exit 2; }
crate=$1 old=$2 new=$3 driver=$(realpath "$4")
shift 4
cd "$(dirname "$0")/.."
cargo build --locked --release --quiet
hotproof=$PWD/target/release/hotproof
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

unpack() { # VERSION FOLDER: the published source, fetched by cargo itself
    mkdir -p "$work/fetch/src"
    printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[lib]\n[dependencies]\n%s = "=%s"\n' \
        "$crate" "$1" >"$work/fetch/Cargo.toml"
    : >"$work/fetch/src/lib.rs"
    rm -rf "$work/vendor" "$work/fetch/Cargo.lock" "$2"
    cargo vendor --quiet --manifest-path "$work/fetch/Cargo.toml" "$work/vendor" >/dev/null
    mv "$work/vendor/$crate" "$2"
}

repository=$work/repository
mkdir -p "$repository/src"
cd "$repository"
git init --quiet -b main
cp "$driver" src/main.rs
printf '/target\n' >.gitignore
printf '[package]\nname = "drive"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n[dependencies]\n%s = { path = "%s" }\n' \
    "$crate" "$crate" >Cargo.toml
for version in "$old" "$new"; do
    unpack "$version" "$repository/$crate"
    git add --all --force "$crate" && git add --all
    git -c user.name=compare -c user.email=compare@hotproof.invalid commit --quiet -m "$crate $version"
done
"$hotproof" compare main~1 main "$@" -- target/release/drive
