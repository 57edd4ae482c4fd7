//! Files of 32 bits, of this machine's compiler and of one for another processor.

use std::collections::BTreeSet;
use std::path::Path;

use hotproof_image::{Class, ImageFile};
use hotproof_profile::Source;
use hotproof_symbolizer::Symbolizer;

use crate::binutils;
use crate::reference;
use crate::scratch::{Scratch, name_text};
use crate::sources::works;

/// A program that needs no library, because those of 32 bits are seldom installed.
pub(crate) const ALONE: &str = "
static volatile unsigned sink;
static inline __attribute__((always_inline)) unsigned inner(unsigned x) {
    return x * 31 + sink;
}
static inline __attribute__((always_inline)) unsigned middle(unsigned x) {
    return inner(x) ^ inner(x + 1);
}
__attribute__((noinline)) unsigned outer(unsigned x) {
    unsigned y = middle(x);
    sink = y;
    return y + 1;
}
__attribute__((noinline)) static unsigned hidden(unsigned x) {
    while (x > sink) { x -= outer(x); sink = x; }
    return x;
}
void _start(void) {
    sink = hidden(outer(4));
    for (;;) {}
}
";

/// A library whose function is called through a stub.
const STUB: &str = "extern int other(int); int one(int x) { return other(x) + 1; }\n";

fn assert_narrow(program: &Path) {
    let image = ImageFile::open(program).unwrap();
    assert_eq!(image.class(), Class::Bits32);
}

#[test]
fn chains_of_32_bits_equal_those_of_binutils_and_of_the_reference() {
    let scratch = Scratch::new();
    scratch.write("main.c", ALONE);
    let program = scratch.path("program");
    for compiler in [
        "gcc -m32",
        "arm-linux-gnueabi-gcc",
        "arm-linux-gnueabi-gcc -mthumb -march=armv7-a",
    ] {
        for flags in ["-g", "-g -gdwarf-4 -gz", "-g1 -fPIE -static-pie"] {
            let make = format!("{compiler} -O2 {flags} -nostdlib -static main.c -o program");
            if !works(&scratch, &make) {
                continue;
            }
            assert_narrow(&program);
            assert!(reference::compare(&program, 1) > 5, "{make}");
            if compiler.starts_with("gcc") {
                assert!(binutils::compare(&program, 1) > 5, "{make}");
            }
            scratch.run(&format!("{compiler} -O2 -nostdlib -static main.c -o named"));
            let named = name_text(&scratch.path("named"), 1);
            let frames = named.iter().flat_map(|(_, named)| &named.frames);
            let names: BTreeSet<(&str, Source)> = frames
                .map(|f| (&*f.function.name, f.function.source))
                .collect();
            for name in ["outer", "hidden", "_start"] {
                assert!(
                    names.contains(&(name, Source::SymbolTable)),
                    "{make}: {names:?}"
                );
            }
        }
    }
}

#[test]
fn stubs_and_function_starts_of_32_bits_are_found() {
    let scratch = Scratch::new();
    scratch.write("one.c", STUB);
    for flags in ["-fPIC", "-fno-pic"] {
        let make =
            format!("gcc -m32 -O1 {flags} -fcf-protection=none -nostdlib -shared one.c -o one.so");
        if !works(&scratch, &make) {
            continue;
        }
        scratch.run("strip one.so");
        let library = scratch.path("one.so");
        assert_narrow(&library);
        let image = ImageFile::open(&library).unwrap();
        let names_in = |section: &str| -> BTreeSet<(String, Source)> {
            let range = image.section_svma(section).into_iter().flatten();
            let addresses: Vec<u64> = range.map(|svma| svma - image.base_svma()).collect();
            let named = Symbolizer::new().symbolize_addresses(&library, &addresses);
            let named = named.unwrap();
            let frames = named.iter().flat_map(|named| &named.frames);
            let functions = frames.map(|frame| &frame.function);
            functions.map(|f| (f.name.to_string(), f.source)).collect()
        };
        if flags == "-fPIC" {
            let stub = ("other@plt".to_owned(), Source::Plt);
            assert!(names_in(".plt").contains(&stub), "{:?}", names_in(".plt"));
        }
        let text = names_in(".text");
        assert!(
            text.contains(&("one".to_owned(), Source::DynamicSymbols)),
            "{text:?}"
        );
        let starts = text
            .iter()
            .filter(|(_, source)| *source == Source::UnwindTable);
        assert_eq!(
            starts.count(),
            usize::from(flags == "-fPIC"),
            "the thunk alone: {text:?}"
        );
    }
}
