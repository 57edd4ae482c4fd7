#!/usr/bin/env bash
# Fills corpora for scripts/fuzz.sh: the programs of the symbolizer, a list of kernel symbols.
# Usage: seeds.sh FOLDER; the folders `image` and `kallsyms` in it are filled.
set -euo pipefail
seeds=$(realpath "$(dirname "$0")/../../symbolizer/fuzz/seeds.sh")
mkdir -p "$1/image" "$1/kallsyms"
"$seeds" "$1/../symbolizer"
cp -n "$1/../symbolizer/program/"{dwarf4,dwarf5,packed,stripped,narrow,object,packed_object} "$1/image/" 2>/dev/null || true
printf 'ffffffff81000000 T _stext\nffffffff81000040 t inner\nffffffffc0000000 t part\t[module]\n' >"$1/kallsyms/list"
