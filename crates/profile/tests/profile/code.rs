//! What code is called, where it is, and whose it is.

use hotproof_profile::*;

use crate::maker::{LIBRARY, Maker, USER};

#[test]
fn frames_come_innermost_first_and_the_physical_one_is_the_outermost() {
    let mut m = Maker::new();
    let functions = ["inner", "middle", "outer"].map(|name| m.function(name, Some(USER)));
    let location = m.location(&functions);
    let expanded: Vec<Code> = m.profile.code_at(location, Inline::Expand).collect();
    assert_eq!(expanded, functions.map(Code::Function));
    let physical: Vec<Code> = m.profile.code_at(location, Inline::Physical).collect();
    assert_eq!(physical, [Code::Function(functions[2])]);
}

#[test]
fn frames_of_a_location_that_is_not_resolved_do_not_count() {
    let mut m = Maker::new();
    let f = m.function("f", Some(USER));
    let location = m.location(&[f]);
    m.profile.locations[location].state = LocationState::Unresolved;
    for inline in [Inline::Expand, Inline::Physical] {
        let code: Vec<Code> = m.profile.code_at(location, inline).collect();
        assert_eq!(code, [Code::Unnamed(m.image)]);
    }
}

#[test]
fn setting_no_frames_makes_a_location_unknown() {
    let mut m = Maker::new();
    let f = m.function("f", Some(USER));
    let location = m.location(&[f]);
    assert_eq!(m.profile.locations[location].state, LocationState::Resolved);
    m.profile.set_frames(location, &[]);
    let row = &m.profile.locations[location];
    assert_eq!((row.state, row.frames.len()), (LocationState::Unknown, 0));
}

#[test]
fn code_has_a_name_and_a_place_whatever_is_known() {
    let mut m = Maker::new();
    let named = m.function("area::shape", Some("/home/u/src/a.rs"));
    m.profile.functions[named].line = Some(12);
    let lineless = m.function("b", Some("/home/u/src/b.rs"));
    let fileless = m.function("c", None);
    let foreign = m.function("d", None);
    m.profile.functions[foreign].image = None;
    let path = m.profile.strings.intern("[vdso]");
    let kind = ImageKind::Vdso;
    let vdso = m.profile.images.push(Image {
        path,
        build_id: Vec::new(),
        kind,
    });
    for (code, name, place) in [
        (Code::Function(named), "area::shape", "/home/u/src/a.rs:12"),
        (Code::Function(lineless), "b", "/home/u/src/b.rs"),
        (Code::Function(fileless), "c", "bench"),
        (Code::Function(foreign), "d", ""),
        (Code::Unnamed(m.image), "[bench]", "bench"),
        (Code::Unnamed(vdso), "[vdso]", "[vdso]"),
        (Code::Unmapped, "[unknown]", ""),
    ] {
        assert_eq!(m.profile.code_name(code), name);
        assert_eq!(m.profile.code_place(code), place);
    }
}

#[test]
fn library_code_is_known_by_its_path() {
    for path in [
        LIBRARY,
        "/home/u/.cargo/registry/src/index-1f2e/serde-1.0.0/src/lib.rs",
        "/home/u/.cargo/git/checkouts/x-1/2/src/lib.rs",
        "/home/u/.rustup/toolchains/stable/lib/rustlib/src/rust/library/core/src/num.rs",
        "/usr/include/c++/12/vector",
        "/usr/lib/gcc/x86_64-linux-gnu/12/include/emmintrin.h",
        "./nptl/pthread_create.c",
        "../sysdeps/x86_64/multiarch/memmove.S",
    ] {
        assert!(is_library_path(path), "{path}");
    }
    for path in [
        USER,
        "/home/u/rustc/src/main.rs",
        "src/lib.rs",
        "/home/u/src/registry.rs",
        "",
    ] {
        assert!(!is_library_path(path), "{path}");
    }
}

#[test]
fn a_function_without_a_file_is_the_users() {
    let mut m = Maker::new();
    let [user, library] = [m.function("f", None), m.function("g", Some(LIBRARY))];
    assert!(!m.profile.is_library(user));
    assert!(m.profile.is_library(library));
}

#[test]
fn the_last_part_of_a_path_is_its_file_name() {
    for (path, name) in [("/a/b.so", "b.so"), ("b.so", "b.so"), ("/a/", ""), ("", "")] {
        assert_eq!(file_name(path), name);
    }
}

#[test]
fn a_return_address_is_looked_up_in_the_call_before_it() {
    for (address, kind, lookup) in [
        (0x10, AddressKind::Ip, 0x10),
        (0x10, AddressKind::ReturnAddress, 0xf),
        (0x10, AddressKind::Adjusted, 0x10),
        (0, AddressKind::ReturnAddress, 0),
    ] {
        assert_eq!(
            Location::unresolved(None, address, kind).lookup_address(),
            lookup
        );
    }
}
