//! What keeps the measured programs from being named well, as warnings.

use std::collections::BTreeSet;
use std::path::Path;

use hotproof_profile::{ImageKind, LocationState, Profile, Source};
use hotproof_symbolizer::{Cache, DebugPlaces, Problem, Summary, Symbolizer, examine};

use crate::layouts::program_of;

/// A symbolizer for many runs, whose names are kept in a folder from one comparison to the next.
pub(crate) fn symbolizer(cache: Option<&Path>) -> Symbolizer {
    match cache {
        Some(folder) => Symbolizer::new()
            .with_cache(Cache::at(folder))
            .keeping_late(),
        None => Symbolizer::new(),
    }
}

/// Collects what is wrong with the images of a worktree; those of the system are as they are.
#[derive(Debug, Default)]
pub(crate) struct Naming {
    warnings: BTreeSet<String>,
    /// Images that have debug information, though what was sampled of them has none.
    described: BTreeSet<String>,
}

impl Naming {
    /// Symbolizes the profile of a program in `worktree`, takes notice of it, and gives all layouts
    /// of a program its name: code without a source file is told apart by its image.
    pub(crate) fn name(
        &mut self,
        worktree: &Path,
        profile: &mut Profile,
        symbolizer: &mut Symbolizer,
    ) {
        let summary = symbolizer.symbolize(profile);
        self.see(worktree, profile, &summary);
        for id in profile.images.ids() {
            let path = Path::new(&profile.strings[profile.images[id].path]);
            if let Some(program) = program_of(path) {
                let program = program.to_string_lossy().into_owned();
                profile.images[id].path = profile.strings.intern(&program);
            }
        }
    }

    /// Takes notice of one symbolized profile of a program in `worktree`.
    pub(crate) fn see(&mut self, worktree: &Path, profile: &Profile, summary: &Summary) {
        for (image, problem) in summary.problems() {
            let Some(name) = inside(worktree, &image.path) else {
                continue;
            };
            // A program without any symbol is told of below, with what it means for a verdict.
            if !matches!(problem, Problem::NoSymbols) {
                self.warnings.insert(format!("{name}: {problem}"));
            }
        }
        for name in without_debug_information(worktree, profile) {
            if self.is_described(worktree, &name) {
                continue;
            }
            self.warnings.insert(format!(
                "{name} has no debug information, so that its functions cannot be joined to the \
                 diff by file and line: build it with -g (gcc), or CARGO_PROFILE_RELEASE_DEBUG=1 \
                 (cargo), and do not strip it"
            ));
        }
    }

    /// Whether the file has debug information after all: few samples can all lie in code that comes
    /// from the C library's own objects, such as `_start`.
    fn is_described(&mut self, worktree: &Path, name: &str) -> bool {
        if self.described.contains(name) {
            return true;
        }
        let examined = examine(&worktree.join(name), &[], &DebugPlaces::default());
        let is_described = examined.is_ok_and(|examined| examined.best == Some(Source::Dwarf));
        if is_described {
            self.described.insert(name.to_owned());
        }
        is_described
    }

    /// Keeps what was learnt of names.
    pub(crate) fn keep(&mut self, symbolizer: &mut Symbolizer) {
        if let Err(error) = symbolizer.keep_names() {
            self.warnings.insert(error.to_string());
        }
    }

    /// The warnings, in a defined order.
    pub(crate) fn into_warnings(self) -> impl Iterator<Item = String> {
        self.warnings.into_iter()
    }
}

/// The path relative to the worktree, when it lies in it.
fn inside(worktree: &Path, path: &str) -> Option<String> {
    let relative = Path::new(path).strip_prefix(worktree).ok()?;
    Some(relative.to_string_lossy().into_owned())
}

/// Images of the worktree in which samples lie and of which no frame was named by DWARF.
fn without_debug_information(worktree: &Path, profile: &Profile) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut described = BTreeSet::new();
    for (_, location) in profile.locations.iter() {
        let Some(image) = location.image else {
            continue;
        };
        let row = &profile.images[image];
        if row.kind != ImageKind::Elf || location.state == LocationState::Unresolved {
            continue;
        }
        let Some(name) = inside(worktree, &profile.strings[row.path]) else {
            continue;
        };
        let by_dwarf = location.frame_ids().any(|frame| {
            let function = profile.frames[frame].function;
            profile.functions[function].source == Source::Dwarf
        });
        if by_dwarf {
            described.insert(name.clone());
        }
        seen.insert(name);
    }
    seen.difference(&described).cloned().collect()
}

/// Whether a function's name is the one that a user wrote, whole or from a `::` or `.` on.
pub(crate) fn is_called(name: &str, wanted: &str) -> bool {
    let before = name.strip_suffix(wanted);
    before.is_some_and(|it| it.is_empty() || it.ends_with("::") || it.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotproof_profile::Image;

    /// Code without a source file stood once for each layout in pictures, and in the comparison as
    /// so many functions, each with a part of the time and too small to be seen to move.
    #[test]
    fn layouts_have_the_name_of_their_program() {
        let mut profile = Profile::default();
        for path in [
            "/w/bench.layout-00",
            "/w/bench.layout-01",
            "/w/lib.so.6",
            "layout-1",
        ] {
            let path = profile.strings.intern(path);
            profile.images.push(Image {
                path,
                build_id: Vec::new(),
                kind: ImageKind::Elf,
            });
        }
        let mut symbolizer = symbolizer(None);
        Naming::default().name(Path::new("/w"), &mut profile, &mut symbolizer);
        let names: Vec<&str> = profile
            .images
            .iter()
            .map(|(_, image)| &profile.strings[image.path])
            .collect();
        assert_eq!(names, ["/w/bench", "/w/bench", "/w/lib.so.6", "layout-1"]);
    }
}
