//! The cache on disk: what it answers, and what makes it a miss.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hotproof_image::DebugPlaces;
use hotproof_profile::{AddressKind, Image, ImageKind, Location, Profile, Source};
use hotproof_symbolizer::{Cache, Detail, ImageOutcome, Summary, Symbolizer};

use crate::profile::{add_text, c_program};
use crate::programs::RUST;
use crate::scratch::Scratch;

/// Names a program's text by a new symbolizer with a cache.
fn name(program: &Path, step: usize, cache: &Cache) -> (Profile, Summary) {
    name_with(program, step, Symbolizer::new().with_cache(cache.clone()))
}

fn name_with(program: &Path, step: usize, mut symbolizer: Symbolizer) -> (Profile, Summary) {
    let mut profile = Profile::default();
    add_text(&mut profile, program, step);
    let summary = symbolizer.symbolize(&mut profile);
    (profile, summary)
}

/// Fails at the first row that differs, without printing the rest.
#[track_caller]
fn assert_same(found: &Profile, expected: &Profile) {
    fn rows<T: PartialEq + std::fmt::Debug>(found: &[T], expected: &[T]) {
        let difference = found.iter().zip(expected).find(|(a, b)| a != b);
        assert_eq!(difference, None);
        assert_eq!(found.len(), expected.len());
    }
    rows(found.functions.rows(), expected.functions.rows());
    rows(found.symbols.rows(), expected.symbols.rows());
    rows(found.frames.rows(), expected.frames.rows());
    rows(found.locations.rows(), expected.locations.rows());
    assert!(found == expected, "texts or images differ");
}

fn cache_of(scratch: &Scratch) -> Cache {
    Cache::at(&scratch.path("cache"))
}

/// Addresses answered by the cache, and addresses that files were read for.
fn counts(summary: &Summary) -> (u64, u64) {
    let [ImageOutcome { recalled, read, .. }] = &summary.images[..] else {
        panic!("one image: {summary:?}");
    };
    (*recalled, *read)
}

fn entry_file(cache: &Cache) -> PathBuf {
    let entries = cache.entries().unwrap();
    let [entry] = &entries[..] else {
        panic!("one entry: {entries:?}");
    };
    entry.path.clone()
}

#[test]
fn a_second_run_reads_nothing_and_says_the_same() {
    let scratch = Scratch::new();
    scratch.write("main.rs", RUST);
    scratch.run("rustc -O -C debuginfo=1 -C link-arg=-Wl,--build-id main.rs -o program");
    let program = scratch.path("program");
    let cache = cache_of(&scratch);
    let (plain, without) = name_with(&program, 40, Symbolizer::new());
    let all = without.locations;
    assert_eq!(counts(&without), (0, all));
    let (first, summary) = name(&program, 40, &cache);
    assert_eq!(counts(&summary), (0, all));
    let (second, summary) = name(&program, 40, &cache);
    assert_eq!(counts(&summary), (all, 0), "nothing is read again");
    assert_eq!(summary.images[0].sources, without.images[0].sources);
    assert_same(&first, &plain);
    assert_same(&second, &plain);

    // More addresses: those known stay, the others are added.
    let (more, summary) = name(&program, 20, &cache);
    assert_eq!(counts(&summary), (all, summary.locations - all));
    assert_same(&more, &name_with(&program, 20, Symbolizer::new()).0);
    let (_, summary) = name(&program, 20, &cache);
    assert_eq!(counts(&summary), (summary.locations, 0), "both were kept");

    let entries = cache.entries().unwrap();
    let content = entries[0].content.as_ref().expect("a whole entry");
    assert_eq!(content.image, program.to_str().unwrap());
    assert_eq!(content.names, summary.locations);
}

#[test]
fn each_detail_keeps_its_own_answers() {
    let scratch = Scratch::new();
    scratch.write("main.rs", RUST);
    scratch.run("rustc -O -C debuginfo=1 -C link-arg=-Wl,--build-id main.rs -o program");
    let program = scratch.path("program");
    let details = [Detail::Names, Detail::Full];
    let of = |detail| Symbolizer::new().with_detail(detail);
    let [names, full] = details.map(|detail| name_with(&program, 40, of(detail)).0);
    assert!(full.frames.len() > names.frames.len(), "inlined functions");
    for order in [details, [Detail::Full, Detail::Names]] {
        let cache = Cache::at(&scratch.path(&format!("{order:?}")));
        let named = |detail| name_with(&program, 40, of(detail).with_cache(cache.clone()));
        for detail in order {
            let (_, summary) = named(detail);
            assert_eq!(counts(&summary), (0, summary.locations), "{order:?}");
        }
        for detail in order {
            let (found, summary) = named(detail);
            assert_eq!(counts(&summary), (summary.locations, 0), "{order:?}");
            assert_same(
                &found,
                if detail == Detail::Full {
                    &full
                } else {
                    &names
                },
            );
        }
    }
}

/// An address that stands for others has their names and is one of them; what the cache does not know
/// stands for itself.
#[test]
fn alike_addresses_have_the_same_names() {
    let scratch = Scratch::new();
    scratch.write("main.rs", RUST);
    scratch.run("rustc -O -C debuginfo=1 -C link-arg=-Wl,--build-id main.rs -o program");
    let program = scratch.path("program");
    for detail in [Detail::Names, Detail::Full] {
        let cache = Cache::at(&scratch.path(&format!("{detail:?}")));
        let of = || Symbolizer::new().with_detail(detail);
        let with_cache = || of().with_cache(cache.clone());
        let (profile, _) = name_with(&program, 40, with_cache());
        let names = |id| {
            let row: &Location = &profile.locations[id];
            let functions = row.frame_ids().map(|id| profile.frames[id].function);
            functions.collect::<Vec<_>>()
        };
        let at: BTreeMap<u64, _> = profile
            .locations
            .iter()
            .map(|(id, row)| (row.lookup_address(), names(id)))
            .collect();
        let image = profile.locations.rows()[0].image.unwrap();
        let mut symbolizer = with_cache();
        let mut standing = BTreeSet::new();
        for (&address, functions) in &at {
            let same = symbolizer.alike(&profile, image, address).unwrap();
            assert_eq!(&at[&same], functions, "{address:#x} and {same:#x}");
            standing.insert(same);
            assert_eq!(symbolizer.alike(&profile, image, address + 1), None);
        }
        assert!(standing.len() * 2 < at.len(), "there was something to find");
        // It names as if nobody had asked.
        let (named, summary) = name_with(&program, 40, symbolizer);
        assert_eq!(counts(&summary), (summary.locations, 0));
        assert_same(&named, &profile);
        assert_eq!(
            of().alike(&profile, image, *at.keys().next().unwrap()),
            None
        );
    }
}

#[test]
fn one_symbolizer_asks_the_cache_once_and_adds_to_it() {
    let scratch = Scratch::new();
    let program = c_program(&scratch, "-g");
    let cache = cache_of(&scratch);
    let mut symbolizer = Symbolizer::new().with_cache(cache.clone());
    for (step, expected) in [(64, None), (64, Some((0, 0))), (16, None)] {
        let mut profile = Profile::default();
        add_text(&mut profile, &program, step);
        let summary = symbolizer.symbolize(&mut profile);
        let expected = expected.unwrap_or((0, counts(&summary).1));
        assert_eq!(counts(&summary), expected, "every {step}th byte");
    }
    let addresses: Vec<u64> = (0x1040..0x1200).step_by(3).collect();
    let by_one = symbolizer
        .symbolize_addresses(&program, &addresses)
        .unwrap();
    symbolizer.keep_names().unwrap();
    let mut another = Symbolizer::new().with_cache(cache);
    let by_another = another.symbolize_addresses(&program, &addresses);
    assert_eq!(by_one, by_another.unwrap());
    assert!(another.problems_of(&program).is_empty());
    let (_, summary) = name_with(&program, 16, another);
    assert_eq!(counts(&summary).1, 0, "all were kept");
}

#[test]
fn installing_and_removing_debug_symbols_shows_at_once() {
    let scratch = Scratch::new();
    let program = c_program(&scratch, "-g");
    scratch.run("objcopy --only-keep-debug program kept");
    scratch.run("objcopy --strip-debug --add-gnu-debuglink=kept program");
    let debug = scratch.path("program.debug");
    scratch.run("objcopy --remove-section=.gnu_debuglink program");
    std::fs::rename(scratch.path("kept"), &debug).unwrap();
    scratch.run("objcopy --add-gnu-debuglink=program.debug program");
    let away = scratch.path("away");
    std::fs::rename(&debug, &away).unwrap();
    let cache = cache_of(&scratch);
    let by_dwarf = || {
        let (profile, summary) = name(&program, 8, &cache);
        let mut functions = profile.functions.rows().iter();
        let by_dwarf = functions.any(|function| function.source == Source::Dwarf);
        (by_dwarf, counts(&summary).1 > 0)
    };
    assert_eq!(by_dwarf(), (false, true), "by the symbol table, read");
    assert_eq!(by_dwarf(), (false, false), "by the symbol table, kept");
    std::fs::rename(&away, &debug).unwrap();
    assert_eq!(by_dwarf(), (true, true), "the debug file has come");
    assert_eq!(by_dwarf(), (true, false));
    std::fs::rename(&debug, &away).unwrap();
    assert_eq!(by_dwarf(), (false, true), "the debug file has gone");

    let elsewhere = DebugPlaces {
        folders: vec![PathBuf::from("/nowhere")],
        ..DebugPlaces::default()
    };
    let symbolizer = Symbolizer::with_debug_places(elsewhere).with_cache(cache.clone());
    let (_, summary) = name_with(&program, 8, symbolizer);
    assert!(counts(&summary).1 > 0, "other places are another question");
}

#[test]
fn another_build_at_the_same_path_is_another_image() {
    let scratch = Scratch::new();
    let program = c_program(&scratch, "-g");
    let cache = cache_of(&scratch);
    let (recorded, _) = name(&program, 8, &cache);
    c_program(&scratch, "-g -O1");
    let (rebuilt, summary) = name(&program, 8, &cache);
    assert!(counts(&summary).1 > 0, "read");
    assert_same(&rebuilt, &name_with(&program, 8, Symbolizer::new()).0);
    // The recording of the first build is still refused: the file at its path is another.
    let mut old = Profile::default();
    let path = old.strings.intern(program.to_str().unwrap());
    let build_id = recorded.images.rows()[0].build_id.clone();
    let kind = ImageKind::Elf;
    let image = old.images.push(Image {
        path,
        build_id,
        kind,
    });
    let row = Location::unresolved(Some(image), 0x1040, AddressKind::Ip);
    old.locations.push(row);
    let summary = Symbolizer::new().with_cache(cache).symbolize(&mut old);
    assert_eq!((summary.resolved, summary.problems().count()), (0, 1));
}

#[test]
fn damaged_entries_cost_time_alone() {
    let scratch = Scratch::new();
    let program = c_program(&scratch, "-g");
    let cache = cache_of(&scratch);
    let (expected, _) = name(&program, 32, &cache);
    let file = entry_file(&cache);
    let whole = std::fs::read(&file).unwrap();
    let places = [0, 7, 8, 11, 12, 40, whole.len() / 2, whole.len() - 1];
    let cut = places.map(|place| whole[..place].to_vec());
    let flipped = places.map(|place| {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        bytes
    });
    for damaged in cut.into_iter().chain(flipped) {
        std::fs::write(&file, &damaged).unwrap();
        let entries = cache.entries().unwrap();
        assert_eq!(entries[0].content, None, "told as damaged");
        let (profile, summary) = name(&program, 32, &cache);
        assert_eq!(counts(&summary), (0, summary.locations), "a miss");
        assert_same(&profile, &expected);
        assert_eq!(std::fs::read(&file).unwrap(), whole, "made whole again");
    }
}

/// A program with compressed debug information, most of which is one long string.
fn packed_program(scratch: &Scratch, flags: &str) -> PathBuf {
    let long = "n".repeat(200_000);
    scratch.write("long.c", &format!("int a_{long}(void) {{ return 3; }}"));
    scratch.write("main.c", "int main(void) { return 4; }");
    scratch.run(&format!("gcc -g -gz=zlib {flags} main.c long.c -o program"));
    scratch.path("program")
}

/// The kept sections, without the names.
fn sections(cache: &Cache) -> Vec<(PathBuf, Option<String>)> {
    let entries = cache.entries().unwrap().into_iter();
    let of = |path: &Path| path.to_string_lossy().contains("-section.");
    entries
        .filter(|entry| of(&entry.path))
        .map(|entry| {
            (
                entry.path,
                entry.content.and_then(|content| content.section),
            )
        })
        .collect()
}

#[test]
fn compressed_sections_are_kept_whole_and_never_believed_when_damaged() {
    let scratch = Scratch::new();
    let program = packed_program(&scratch, "-Wl,--build-id");
    let cache = cache_of(&scratch);
    let (plain, _) = name_with(&program, 3, Symbolizer::new());
    assert_same(
        &name(&program, 64, &cache).0,
        &name_with(&program, 64, Symbolizer::new()).0,
    );
    let kept = sections(&cache);
    let [(file, Some(section))] = &kept[..] else {
        panic!("one section is large enough: {kept:?}");
    };
    assert_eq!(section, ".debug_str");

    let whole = std::fs::read(file).unwrap();
    let text = whole.windows(4).position(|bytes| bytes == b"nnnn").unwrap();
    let middle = text + 100_000;
    let places = [0, 8, 17, text, middle, whole.len() - 1];
    let cut = places.map(|place| whole[..place].to_vec());
    let flipped = places.map(|place| {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        bytes
    });
    for damaged in cut.into_iter().chain(flipped).chain([Vec::new()]) {
        std::fs::write(file, &damaged).unwrap();
        assert_eq!(sections(&cache), [(file.clone(), None)], "told as damaged");
        // With the names gone, the sections are asked for.
        forget_names(&cache);
        assert_same(&name(&program, 3, &cache).0, &plain);
        assert!(std::fs::read(file).unwrap() == whole, "made whole again");
    }
    let before = std::fs::metadata(file).unwrap();
    forget_names(&cache);
    assert_same(&name(&program, 3, &cache).0, &plain);
    let after = std::fs::metadata(file).unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!(
        before.ino(),
        after.ino(),
        "a whole one is not written again"
    );
}

fn forget_names(cache: &Cache) {
    for entry in cache.entries().unwrap() {
        if !entry.path.to_string_lossy().contains("-section.") {
            std::fs::remove_file(entry.path).unwrap();
        }
    }
}

/// What is kept is what is used: with another program's section under a right checksum in its
/// place the names would be wrong, and it is refused, because it says which file it is of.
#[test]
fn sections_of_another_file_are_not_used() {
    let scratch = Scratch::new();
    let program = packed_program(&scratch, "-Wl,--build-id");
    let cache = cache_of(&scratch);
    let (plain, _) = name(&program, 3, &cache);
    let [(file, _)] = &sections(&cache)[..] else {
        panic!("one section");
    };
    let other = scratch.path("copy");
    std::fs::copy(&program, &other).unwrap();
    name(&other, 3, &cache);
    let both = sections(&cache);
    assert_eq!(both.len(), 2, "a copy is another file: {both:?}");
    let copied = both.iter().find(|(path, _)| path != file).unwrap();
    std::fs::copy(&copied.0, file).unwrap();
    let wrong = std::fs::read(file).unwrap();
    forget_names(&cache);
    assert_same(&name(&program, 3, &cache).0, &plain);
    assert!(std::fs::read(file).unwrap() != wrong, "replaced by its own");
    assert_eq!(cache.clear().unwrap().entries, 3, "cleared like names");
    assert_eq!(sections(&cache), []);
}

#[test]
fn sections_that_cannot_be_kept_are_said_and_names_are_right() {
    let scratch = Scratch::new();
    let program = packed_program(&scratch, "-Wl,--build-id");
    scratch.write("file", "no folder");
    let cache = Cache::at(&scratch.path("file"));
    let (plain, _) = name_with(&program, 3, Symbolizer::new());
    let (found, summary) = name(&program, 3, &cache);
    assert_same(&found, &plain);
    assert!(summary.unkept.is_some());
}

#[test]
fn many_at_once_leave_a_whole_entry() {
    let scratch = Scratch::new();
    let program = c_program(&scratch, "-g");
    let cache = cache_of(&scratch);
    let expected: Vec<Profile> = (3..9)
        .map(|step| name_with(&program, step, Symbolizer::new()).0)
        .collect();
    std::thread::scope(|scope| {
        for (profile, step) in expected.iter().zip(3..) {
            let (cache, program) = (&cache, &program);
            scope.spawn(move || {
                for _ in 0..20 {
                    assert_same(&name(program, step, cache).0, profile);
                }
            });
        }
    });
    let entries = cache.entries().unwrap();
    assert!(entries.iter().all(|entry| entry.content.is_some()));
    assert_eq!(entries.len(), 1);
    let left = std::fs::read_dir(cache.folder()).unwrap().count();
    assert_eq!(left, 1, "nothing half written is left");
}

#[test]
fn a_folder_that_cannot_be_made_is_said_once_and_names_are_right() {
    let scratch = Scratch::new();
    let program = c_program(&scratch, "-g");
    let file = scratch.write("file", "in the way");
    let cache = Cache::at(&file.join("cache"));
    let (profile, summary) = name(&program, 16, &cache);
    assert_same(&profile, &name_with(&program, 16, Symbolizer::new()).0);
    let said = summary.unkept.expect("it is said");
    assert!(said.contains("HOTPROOF_CACHE"), "{said}");
    assert!(said.contains(cache.folder().to_str().unwrap()), "{said}");
}

#[test]
fn an_image_with_a_problem_is_read_each_time() {
    let scratch = Scratch::new();
    let program = c_program(&scratch, "-g");
    scratch.run("objcopy --only-keep-debug program program.debug");
    scratch.run("objcopy --strip-debug --add-gnu-debuglink=program.debug program");
    // Another build's debug file.
    c_program_debug(&scratch);
    let cache = cache_of(&scratch);
    for _ in 0..2 {
        let (_, summary) = name(&program, 16, &cache);
        assert_eq!(summary.problems().count(), 1, "{summary:?}");
        assert_eq!(counts(&summary), (0, summary.locations));
    }
    assert_eq!(cache.entries().unwrap(), []);
}

fn c_program_debug(scratch: &Scratch) {
    scratch.run("gcc -O1 -g main.c other.c -o another");
    scratch.run("objcopy --only-keep-debug another program.debug");
}

#[test]
fn the_kernels_list_is_read_once_a_boot() {
    let list = match hotproof_image::kernel::Kallsyms::read() {
        Ok(list) => list,
        Err(error) => return crate::skip("the_kernels_list_is_read_once_a_boot", &error),
    };
    if !Path::new("/proc/sys/kernel/random/boot_id").exists() {
        return crate::skip("the_kernels_list_is_read_once_a_boot", &"no boot_id");
    }
    let scratch = Scratch::new();
    let cache = cache_of(&scratch);
    let range = |names: [&str; 2]| {
        let [first, last] = names.map(|name| list.address_of(name).expect("in every kernel"));
        first..last
    };
    let own = [["_stext", "_etext"], ["_sinittext", "_einittext"]].map(range);
    let starts = list.starts().map(|(start, _)| start + 1);
    let starts = starts.filter(|start| own.iter().any(|range| range.contains(start)));
    let addresses: Vec<u64> = starts.step_by(50).collect();
    assert!(
        own.iter()
            .all(|range| addresses.iter().any(|a| range.contains(a)))
    );
    assert!(addresses.len() > 100);
    let name = |symbolizer: &mut Symbolizer| {
        let mut profile = Profile::default();
        let path = profile.strings.intern("[kernel]");
        let kind = ImageKind::Kernel;
        let build_id = Vec::new();
        let image = profile.images.push(Image {
            path,
            build_id,
            kind,
        });
        for &address in &addresses {
            let row = Location::unresolved(Some(image), address, AddressKind::Ip);
            profile.locations.push(row);
        }
        let summary = symbolizer.symbolize(&mut profile);
        (profile, counts(&summary))
    };
    let all = addresses.len() as u64;
    let (expected, _) = name(&mut Symbolizer::new());
    let cached = || Symbolizer::new().with_cache(cache.clone());
    let first = name(&mut cached());
    assert_same(&first.0, &expected);
    assert_eq!(first.1, (0, all));
    let second = name(&mut cached());
    assert_same(&second.0, &expected);
    assert_eq!(second.1, (all, 0));
    let content = cache.entries().unwrap()[0].content.clone();
    assert_eq!(content.expect("whole").image, "[kernel]");
}
