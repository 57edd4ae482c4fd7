#!/bin/sh
# Links as asked, and then again with the functions of the program in other orders.
#
# Under a name that begins with `ld` it stands for a linker, otherwise for the compiler that rustc
# links with. hotproof says by variables what to do: HOTPROOF_CC, the compiler; HOTPROOF_LD, a linker
# that shuffles sections; HOTPROOF_LAYOUTS, how many links; HOTPROOF_LINKS, the folder for them. What
# the build asked for is never made to fail: what goes wrong with the other links is written down.
name=${0##*/}
case $name in
ld*)
    shuffler=$HOTPROOF_LD flag=--shuffle-sections=
    "$name" "$@" || exit
    first=0
    ;;
*)
    shuffler=$HOTPROOF_CC flag=-Wl,--shuffle-sections=
    # The linker behind the compiler is the real one.
    if [ -n "$HOTPROOF_COMPILER_PATH" ]; then
        COMPILER_PATH=$HOTPROOF_COMPILER_PATH
    else
        unset COMPILER_PATH
    fi
    "$shuffler" "$@" || exit
    first=1
    ;;
esac
[ -d "$HOTPROOF_LINKS" ] || exit 0

output=
before=
for word; do
    case $word in
    # Libraries and halves of programs do not run by themselves.
    -shared | -r | --relocatable | -Wl,-r | -Wl,-shared) exit 0 ;;
    esac
    [ "$before" = -o ] && output=$word
    before=$word
done
case ${output##*/} in
# Build scripts run while building, tries of configure and cmake are thrown away.
'' | build_script_* | conftest* | cmTC_*) exit 0 ;;
esac
case $output in
/*) ;;
*) output=$PWD/$output ;;
esac

# Links into the first word with the flag of the second one, which may be empty.
link() {
    into=$1 order=$2
    shift 2
    left=$#
    before=
    while [ "$left" -gt 0 ]; do
        word=$1
        shift
        [ "$before" = -o ] && set -- "$@" "$into" || set -- "$@" "$word"
        before=$word
        left=$((left - 1))
    done
    [ -z "$order" ] || set -- "$@" "$order"
    "$shuffler" "$@"
}

folder=$(mktemp -d "$HOTPROOF_LINKS/XXXXXXXX") || exit 0
# What is changed after linking, as by strip, differs from it.
[ "$first" = 0 ] && same=linked || same=0
cp "$output" "$folder/$same"
layout=$first
while [ "$layout" -lt "$HOTPROOF_LAYOUTS" ]; do
    order=
    [ "$layout" = 0 ] || order="$flag.text*=$layout"
    if ! link "$folder/$layout" "$order" "$@" >"$folder/log" 2>&1; then
        mv "$folder/log" "$folder/error"
        break
    fi
    layout=$((layout + 1))
done
rm -f "$folder/log"
printf %s "$output" >"$folder/output"
exit 0
