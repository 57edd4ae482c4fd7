#!/usr/bin/env bash
# Fills corpora for scripts/fuzz.sh: profiles as other tools and we write them, for every target.
# Usage: seeds.sh FOLDER; a folder for each target in it is filled.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
for target in "$here"/fuzz/fuzz_targets/*.rs; do
    folder=$1/$(basename "$target" .rs)
    mkdir -p "$folder"
    for input in "$here"/tests/viewers/inputs/*.* "$here"/tests/viewers/inputs/real/*.* "$here"/tests/golden/* \
        "$here"/../../profiles/leaf.hotproof; do
        case $input in
        *.md) ;;
        *.gz)
            cp "$input" "$folder"
            gunzip -c "$input" >"$folder/$(basename "$input" .gz)"
            ;;
        *) cp "$input" "$folder" ;;
        esac
    done
done
