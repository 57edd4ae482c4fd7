#!/usr/bin/env bash
# Fills corpora for scripts/fuzz.sh: small programs of several kinds, names, run-time code.
# Usage: seeds.sh FOLDER; the folders `program`, `names` and `run_time` in it are filled.
set -euo pipefail
mkdir -p "$1/program" "$1/names" "$1/run_time"
cd "$1"
source=$(mktemp --suffix=.c)
trap 'rm -f "$source"' EXIT
cat >"$source" <<'C'
static inline int inner(int x) { return x * 7 + (x >> 2); }
static int __attribute__((noinline)) middle(int x) { return inner(x) + inner(x + 1); }
int shared(int x) { int y = 0; for (int i = 0; i < x; i++) y += middle(i); return y; }
extern int outside(int);
int calls(int x) { return outside(x) + shared(x); }
C
build() { # NAME FLAGS...
    local name=program/$1
    shift
    [ -e "$name" ] || cc -O2 -fPIC -shared -nostdlib -Wl,-z,noseparate-code -o "$name" "$@" "$source" 2>/dev/null || rm -f "$name"
}
for version in 2 3 4 5; do build "dwarf$version" -g "-gdwarf-$version"; done
build lines -g1
build packed -g -gz
build split -g -gsplit-dwarf
build aranges -g -ffunction-sections
build stripped -s
build narrow -m32 -g
build types -g -fdebug-types-section -gdwarf-4
rm -f program/*.dwo
object() { # NAME FLAGS...
    local name=program/$1
    shift
    [ -e "$name" ] || cc -O2 -c -o "$name" "$@" "$source" 2>/dev/null || rm -f "$name"
}
object object -g -ffunction-sections
object packed_object -g -gz
number=0
for name in _ZN4core3fmt9Formatter3pad17h0123456789abcdefE _RNvCs1234_7mycrate3foo _RINvC1a1fThhETB7_B7_EE \
    _Z1fSt4pairIiiES_IS0_S0_E _ZNKSt6vectorIiSaIiEE4sizeEv main.isra.0.cold JS:~fib; do
    number=$((number + 1))
    printf %s "$name" >"names/$number"
done
printf '1000 40 one\n1040 40 JS:*two a.js:3:1\n' >run_time/map
