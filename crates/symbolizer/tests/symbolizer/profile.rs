//! Whole profiles: rows, problems, what is kept between profiles.

use std::path::Path;
use std::time::Instant;

use hotproof_image::ImageFile;
use hotproof_profile::{
    AddressKind, Frame, Function, Image, ImageId, ImageKind, Location, LocationState, Profile,
    Source,
};
use hotproof_symbolizer::{Problem, Symbolizer};

use crate::programs::{C_MAIN, C_OTHER, RUST};
use crate::scratch::Scratch;

/// Adds an image row; an empty build-id is read from the file.
fn add_image(profile: &mut Profile, path: &Path, build_id: &[u8]) -> ImageId {
    let path = profile.strings.intern(path.to_str().unwrap());
    profile.images.push(Image {
        path,
        build_id: build_id.to_vec(),
        kind: ImageKind::Elf,
    })
}

/// Adds every `step`th address of the text of a program.
pub(crate) fn add_text(profile: &mut Profile, path: &Path, step: usize) -> ImageId {
    let file = ImageFile::open(path).unwrap();
    let image = add_image(profile, path, file.build_id().unwrap_or_default());
    for svma in file.section_svma(".text").unwrap().step_by(step) {
        let address = svma - file.base_svma();
        let row = Location::unresolved(Some(image), address, AddressKind::Ip);
        profile.locations.push(row);
    }
    image
}

pub(crate) fn c_program(scratch: &Scratch, flags: &str) -> std::path::PathBuf {
    scratch.write("main.c", C_MAIN);
    scratch.write("other.c", C_OTHER);
    scratch.run(&format!("gcc -O2 {flags} main.c other.c -o program"));
    scratch.path("program")
}

#[test]
fn functions_are_one_row_each_and_references_hold() {
    let scratch = Scratch::new();
    scratch.write("main.rs", RUST);
    scratch.run("rustc -O -C debuginfo=1 main.rs -o program");
    let mut profile = Profile::default();
    add_text(&mut profile, &scratch.path("program"), 5);
    let summary = Symbolizer::new().symbolize(&mut profile);
    profile.validate().unwrap();
    let mut rows: Vec<_> = profile
        .functions
        .rows()
        .iter()
        .map(|f| (f.name, f.file, f.line, f.image))
        .collect();
    let all = rows.len();
    rows.sort_unstable();
    rows.dedup();
    assert_eq!(rows.len(), all, "no two rows for one function");
    assert_eq!(summary.locations, profile.locations.len() as u64);
    let resolved = |row: &&Location| row.state == LocationState::Resolved;
    let count = profile.locations.rows().iter().filter(resolved).count();
    assert_eq!(summary.resolved, count as u64);
    let by_source: u64 = summary.images[0]
        .sources
        .iter()
        .map(|(_, count)| count)
        .sum();
    assert_eq!(by_source, summary.resolved);
    assert!(
        summary.resolved * 100 > summary.locations * 95,
        "{summary:?}"
    );
}

#[test]
fn what_was_named_before_changes_no_row() {
    let scratch = Scratch::new();
    scratch.write("main.rs", RUST);
    scratch.run("rustc -O -C debuginfo=1 main.rs -o program");
    let program = scratch.path("program");
    let profile = |step| {
        let mut profile = Profile::default();
        add_text(&mut profile, &program, step);
        profile
    };
    let (mut fresh, mut warmed, mut again) = (profile(11), profile(11), profile(11));
    Symbolizer::new().symbolize(&mut fresh);
    let mut symbolizer = Symbolizer::new();
    symbolizer.symbolize(&mut profile(13));
    symbolizer.symbolize(&mut warmed);
    assert_eq!(fresh, warmed, "half of the answers came from the cache");
    let begun = Instant::now();
    symbolizer.symbolize(&mut again);
    let took = begun.elapsed();
    assert_eq!(fresh, again, "all of them");
    assert!(took.as_millis() < 500, "a warm cache took {took:?}");
    let untouched = fresh.clone();
    let summary = symbolizer.symbolize(&mut fresh);
    assert_eq!(
        (summary.locations, &fresh),
        (0, &untouched),
        "nothing is left to do"
    );
}

#[test]
fn return_addresses_are_looked_up_in_the_call() {
    let scratch = Scratch::new();
    let program = c_program(&scratch, "-g");
    let file = ImageFile::open(&program).unwrap();
    let text = file.section_svma(".text").unwrap();
    let named = Symbolizer::new()
        .symbolize_addresses(&program, &text.clone().collect::<Vec<_>>())
        .unwrap();
    // The first byte after a function belongs to its last instruction when it is returned to.
    let is_outer = |index: &usize| {
        let symbol = named[*index].symbol.as_ref();
        symbol.is_some_and(|symbol| &*symbol.linkage_name == "outer")
    };
    let end = text.start + (0..named.len()).rfind(is_outer).unwrap() as u64 + 1;
    let mut profile = Profile::default();
    let image = add_image(&mut profile, &program, &[]);
    for kind in [
        AddressKind::ReturnAddress,
        AddressKind::Ip,
        AddressKind::Adjusted,
    ] {
        profile
            .locations
            .push(Location::unresolved(Some(image), end, kind));
    }
    Symbolizer::new().symbolize(&mut profile);
    let is_outer = |row: &Location| {
        row.symbol.is_some_and(|id| {
            profile.strings.find("outer") == Some(profile.symbols[id].linkage_name)
        })
    };
    let rows = profile.locations.rows();
    assert_eq!(
        [is_outer(&rows[0]), is_outer(&rows[1]), is_outer(&rows[2])],
        [true, false, false]
    );
}

#[test]
fn file_of_another_build_is_refused_and_the_others_go_on() {
    let scratch = Scratch::new();
    let program = c_program(&scratch, "-g");
    let mut profile = Profile::default();
    let wrong = add_image(&mut profile, &program, &[0xab, 0xcd]);
    let missing = add_image(&mut profile, &scratch.path("missing"), &[]);
    let row = |image| Location::unresolved(image, 0x1060, AddressKind::Ip);
    profile.locations.push(row(Some(wrong)));
    profile.locations.push(row(Some(missing)));
    profile.locations.push(row(None));
    let good = add_text(&mut profile, &program, 1);
    let mut symbolizer = Symbolizer::new();
    let summary = symbolizer.symbolize(&mut profile);
    for location in &profile.locations.rows()[..3] {
        assert_eq!(location.state, LocationState::Unknown);
    }
    let [other_build, unreadable, fine] = &summary.images[..] else {
        panic!("{summary:?}");
    };
    assert!(matches!(
        &other_build.problems[..],
        [Problem::OtherBuild { expected, .. }] if expected == "abcd"
    ));
    assert!(matches!(
        &unreadable.problems[..],
        [Problem::Unreadable { .. }]
    ));
    assert_eq!((other_build.resolved, unreadable.resolved), (0, 0));
    assert!(fine.problems.is_empty(), "{:?}", fine.problems);
    assert!(fine.resolved > 100);
    assert!(
        profile
            .functions
            .rows()
            .iter()
            .all(|function| function.image == Some(good))
    );
    assert_eq!(summary.problems().count(), 2);
}

#[test]
fn missing_file_is_tried_again() {
    let scratch = Scratch::new();
    let late = scratch.path("program");
    let mut symbolizer = Symbolizer::new();
    let name = |symbolizer: &mut Symbolizer| {
        let mut profile = Profile::default();
        let image = add_image(&mut profile, &late, &[]);
        let row = Location::unresolved(Some(image), 0x1060, AddressKind::Ip);
        profile.locations.push(row);
        symbolizer.symbolize(&mut profile).resolved
    };
    assert_eq!(name(&mut symbolizer), 0);
    c_program(&scratch, "-g");
    assert_eq!(name(&mut symbolizer), 1);
}

#[test]
fn rebuilt_file_without_build_id_is_read_anew() {
    let scratch = Scratch::new();
    let mut symbolizer = Symbolizer::new();
    for name in ["first", "second"] {
        let source =
            format!("int {name}(int x) {{ return x; }}\nint main(int n) {{ return {name}(n); }}\n");
        scratch.write("main.c", &source);
        let _ = std::fs::remove_file(scratch.path("program"));
        scratch.run("gcc -O0 -g -Wl,--build-id=none main.c -o program");
        let mut profile = Profile::default();
        add_text(&mut profile, &scratch.path("program"), 1);
        symbolizer.symbolize(&mut profile);
        let functions = profile.functions.rows();
        let has = |text: &str| functions.iter().any(|f| &profile.strings[f.name] == text);
        assert!(has(name), "{name} is missing");
        assert!(!has("first") || name == "first", "an old name");
    }
}

#[test]
fn stripped_program_is_named_by_its_debug_file_unless_it_is_another() {
    let scratch = Scratch::new();
    let program = c_program(&scratch, "-g");
    let mut whole = Profile::default();
    add_text(&mut whole, &program, 1);
    Symbolizer::new().symbolize(&mut whole);

    scratch.run("objcopy --only-keep-debug program program.debug");
    scratch.run("strip program");
    scratch.run("objcopy --add-gnu-debuglink=program.debug program");
    let mut split = Profile::default();
    add_text(&mut split, &program, 1);
    let summary = Symbolizer::new().symbolize(&mut split);
    assert!(summary.images[0].problems.is_empty(), "{summary:?}");
    assert_eq!(split.locations, whole.locations);
    assert_eq!(split.frames, whole.frames);
    assert_eq!(split.functions, whole.functions);

    scratch.run("gcc -O1 -g main.c other.c -o other");
    scratch.run("objcopy --only-keep-debug other program.debug");
    let mut refused = Profile::default();
    add_text(&mut refused, &program, 1);
    let summary = Symbolizer::new().symbolize(&mut refused);
    let problems = &summary.images[0].problems;
    let is_refusal = |problem: &Problem| matches!(problem, Problem::DebugFileRefused { path, .. } if path.ends_with("program.debug"));
    assert!(problems.iter().any(is_refusal), "{problems:?}");
    let sources = refused
        .functions
        .rows()
        .iter()
        .map(|function| function.source);
    assert!(sources.clone().count() > 0);
    assert!(sources.into_iter().all(|source| source != Source::Dwarf));
}

#[test]
fn named_locations_are_left_alone() {
    let scratch = Scratch::new();
    let program = c_program(&scratch, "-g");
    let mut profile = Profile::default();
    let image = add_image(&mut profile, &program, &[]);
    let name = profile.strings.intern("imported");
    let function = profile.functions.push(Function {
        name,
        linkage_name: name,
        file: None,
        line: None,
        image: None,
        source: Source::Import,
    });
    let row = Location::unresolved(Some(image), 0x1060, AddressKind::Ip);
    let location = profile.locations.push(row);
    let frame = Frame::of(function);
    profile.set_frames(location, &[frame]);
    let before = profile.clone();
    let summary = Symbolizer::new().symbolize(&mut profile);
    assert_eq!(summary.locations, 0);
    assert_eq!(profile, before);
}

#[test]
fn vdso_is_named_by_its_own_symbols() {
    let Some(file) = hotproof_image::vdso() else {
        panic!("this kernel maps no vdso");
    };
    let mut profile = Profile::default();
    let path = profile.strings.intern("[vdso]");
    let image = profile.images.push(Image {
        path,
        build_id: file.build_id().unwrap_or_default().to_vec(),
        kind: ImageKind::Vdso,
    });
    for svma in file.section_svma(".text").unwrap() {
        let address = svma - file.base_svma();
        let row = Location::unresolved(Some(image), address, AddressKind::Ip);
        profile.locations.push(row);
    }
    Symbolizer::new().symbolize(&mut profile);
    let mut names = profile
        .functions
        .rows()
        .iter()
        .map(|f| &profile.strings[f.name]);
    assert!(
        names.any(
            |name| name.contains("vdso_clock_gettime") || name.contains("kernel_clock_gettime")
        )
    );
}

#[test]
fn kernel_addresses_are_named_or_the_reason_is_told() {
    let list = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let known = list.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let address = u64::from_str_radix(fields.next()?, 16).ok()?;
        let kind = fields.next()?;
        let name = fields.next()?;
        (kind == "T" && address > 0 && name == "schedule").then_some(address)
    });
    let mut profile = Profile::default();
    let path = profile.strings.intern("[kernel]");
    let image = profile.images.push(Image {
        path,
        build_id: Vec::new(),
        kind: ImageKind::Kernel,
    });
    let address = known.unwrap_or(0xffff_ffff_8100_0000) + 1;
    let row = Location::unresolved(Some(image), address, AddressKind::Ip);
    profile.locations.push(row);
    let mut older = profile.clone();
    let mut symbolizer = Symbolizer::new();
    let summary = symbolizer.symbolize(&mut profile);
    if known.is_some() {
        assert_eq!(summary.images[0].sources, [(Source::Kallsyms, 1)]);
        let function = &profile.functions.rows()[0];
        assert_eq!(&profile.strings[function.name], "schedule");
    } else {
        assert_eq!(summary.resolved, 0);
        assert!(matches!(
            &summary.images[0].problems[..],
            [Problem::Kernel { .. }]
        ));
    }

    older.meta.host.kernel = "0.0.0-other".to_owned();
    let summary = symbolizer.symbolize(&mut older);
    assert_eq!(
        summary.resolved, 0,
        "another kernel's addresses are not named by this one"
    );
    assert!(
        summary.images[0].problems[0]
            .to_string()
            .contains("0.0.0-other")
    );
}

#[test]
fn code_without_a_file_stays_unknown_and_is_reported() {
    let mut profile = Profile::default();
    let path = profile.strings.intern("//anon");
    let image = profile.images.push(Image {
        path,
        build_id: Vec::new(),
        kind: ImageKind::Anonymous,
    });
    profile
        .locations
        .push(Location::unresolved(Some(image), 1, AddressKind::Ip));
    let summary = Symbolizer::new().symbolize(&mut profile);
    assert_eq!(summary.images[0].problems, [Problem::NoFile]);
    assert_eq!(profile.locations.rows()[0].state, LocationState::Unknown);
}
