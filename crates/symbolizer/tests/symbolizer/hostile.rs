//! Debug information that is cut or overwritten, section by section: no panic, no endless work, and
//! what is not damaged keeps its names.

use std::path::Path;

use hotproof_image::ImageFile;
use hotproof_symbolizer::FileNames;

use crate::programs::{C_MAIN, C_OTHER};
use crate::scratch::Scratch;

const SECTIONS: [&str; 7] = [
    ".debug_info",
    ".debug_abbrev",
    ".debug_line",
    ".debug_aranges",
    ".debug_str",
    ".debug_line_str",
    ".debug_rnglists",
];

/// Where a section lies in its file.
fn place_of(image: &ImageFile, section: &str) -> Option<std::ops::Range<usize>> {
    let data = image.section(section).unwrap()?.data;
    let start = data.as_ptr() as usize - image.data().as_ptr() as usize;
    Some(start..start + data.len())
}

fn names(program: &Path) -> FileNames {
    let image = ImageFile::open(program).unwrap();
    let text = image.section_svma(".text").unwrap();
    let addresses: Vec<u64> = text
        .step_by(3)
        .map(|svma| svma - image.base_svma())
        .collect();
    FileNames::read(program, &addresses).unwrap()
}

#[test]
fn sections_that_end_early_or_hold_anything_are_survived() {
    let scratch = Scratch::new();
    scratch.write("main.c", C_MAIN);
    scratch.write("other.c", C_OTHER);
    scratch.run("gcc -O2 -g main.c other.c -o program");
    let whole = std::fs::read(scratch.path("program")).unwrap();
    let image = ImageFile::open(&scratch.path("program")).unwrap();
    let damaged = scratch.path("damaged");
    let mut state = 1u64;
    for section in SECTIONS {
        let Some(place) = place_of(&image, section) else {
            continue;
        };
        let step = (place.len() / 40).max(1);
        for cut in (place.start..place.end).step_by(step) {
            for filling in [Some(0), Some(0xff), None] {
                let mut bytes = whole.clone();
                for byte in &mut bytes[cut..place.end] {
                    // A simple generator: every run damages alike.
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    *byte = filling.unwrap_or((state >> 56) as u8);
                }
                std::fs::write(&damaged, &bytes).unwrap();
                let found = names(&damaged);
                let panicked =
                    |problem: &hotproof_symbolizer::Problem| problem.to_string().contains("panic");
                assert!(
                    !found.problems().iter().any(panicked),
                    "{section} from {:#x} on: {:?}",
                    cut - place.start,
                    found.problems()
                );
                // The symbol table is whole, so functions keep their names at least.
                let named = (0..found.len()).filter(|&at| found.symbol(at).is_some());
                assert!(named.count() > 50);
            }
        }
    }
}

#[test]
fn origins_in_a_circle_end() {
    let scratch = Scratch::new();
    scratch.write(
        "main.s",
        "
        .text
main:   nop
        nop
        ret
.Lend:
        .section .debug_abbrev
        .byte 1, 0x11, 1, 0x11, 1, 0x12, 7, 0, 0
        .byte 2, 0x2e, 0, 0x11, 1, 0x12, 7, 0x31, 0x13, 0, 0
        .byte 0
        .section .debug_info
.Lcu:   .long .Lafter - .Lversion
.Lversion:
        .value 4
        .long .debug_abbrev
        .byte 8
        .byte 1
        .quad main
        .quad .Lend - main
.Lone:  .byte 2
        .quad main
        .quad .Lend - main
        .long .Ltwo - .Lcu
.Ltwo:  .byte 2
        .quad 0
        .quad 1
        .long .Lone - .Lcu
        .byte 0
.Lafter:
        .globl main
        .type main, @function
        .size main, .Lend - main
        .section .note.GNU-stack
",
    );
    scratch.run("gcc -no-pie main.s -o program");
    let found = names(&scratch.path("program"));
    let frames = (0..found.len()).flat_map(|at| found.frames(at));
    assert!(
        frames
            .into_iter()
            .any(|frame| &*frame.function.name == "main")
    );
    assert_eq!(
        found.problems(),
        [],
        "a circle is no damage, it only says nothing"
    );
}

/// Functions without an address, each within the one before it, have no owner for any address: each
/// round of the walk goes one deeper, over all that is left. The work has an end, which is told.
#[test]
fn functions_in_functions_without_end_are_given_up() {
    let scratch = Scratch::new();
    scratch.write(
        "main.s",
        "
        .text
        .globl main
        .type main, @function
main:   nop
        ret
.Lend:
        .size main, .Lend - main
        .section .debug_abbrev
        .byte 1, 0x11, 1, 0x11, 1, 0x12, 7, 0, 0
        .byte 2, 0x2e, 1, 0, 0
        .byte 0
        .section .debug_info
        .long .Lafter - .Lversion
.Lversion:
        .value 4
        .long .debug_abbrev
        .byte 8
        .byte 1
        .quad main
        .quad .Lend - main
        .fill 20000, 1, 2
        .fill 20001, 1, 0
.Lafter:
        .section .note.GNU-stack
",
    );
    scratch.run("gcc -no-pie main.s -o program");
    let found = names(&scratch.path("program"));
    assert!((0..found.len()).any(|at| found.symbol(at).is_some()));
    assert_eq!(found.problems().len(), 1, "{:?}", found.problems());
}

/// A section of texts without an end: each name reaches to the end of the section.
#[test]
fn names_without_an_end_are_cut() {
    let scratch = Scratch::new();
    scratch.write("main.c", C_MAIN);
    scratch.write("other.c", C_OTHER);
    scratch.run("gcc -O2 -g main.c other.c -o program");
    std::fs::write(scratch.path("texts"), vec![b'x'; 64 << 20]).unwrap();
    scratch.run("objcopy --update-section .debug_str=texts program damaged");
    let names = names(&scratch.path("damaged"));
    let frames = (0..names.len()).flat_map(|place| names.frames(place));
    let lengths: Vec<usize> = frames.map(|frame| frame.function.name.len()).collect();
    assert_eq!(lengths.iter().max(), Some(&(64 << 10)));
}
