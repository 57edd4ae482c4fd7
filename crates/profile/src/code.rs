//! What a frame is called, also where there is no name, and whether it is library code.

use crate::id::{FunctionId, ImageId, LocationId};
use crate::profile::Profile;
use crate::rows::{ImageKind, LocationState};

/// Whose code an address belongs to: a function, or as much as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// A named function.
    Function(FunctionId),
    /// Code of an image that nobody could name.
    Unnamed(ImageId),
    /// Code in no known mapping.
    Unmapped,
}

/// Whether inlined functions count as functions of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inline {
    /// Each inlined function is a frame.
    Expand,
    /// Only the function that the machine code belongs to is a frame.
    Physical,
}

impl Profile {
    /// The code at a location, innermost first; never empty.
    pub fn code_at(
        &self,
        location: LocationId,
        inline: Inline,
    ) -> impl DoubleEndedIterator<Item = Code> + '_ {
        let row = &self.locations[location];
        let mut range = row.frames.clone();
        if inline == Inline::Physical && !range.is_empty() {
            range.start = range.end - 1;
        }
        let fallback = (row.state != LocationState::Resolved || range.is_empty())
            .then(|| row.image.map_or(Code::Unmapped, Code::Unnamed));
        let named = if fallback.is_some() { 0..0 } else { range };
        named
            .map(|frame| Code::Function(self.frames[crate::FrameId(frame)].function))
            .chain(fallback)
    }

    /// The name to show: a function's, or `[libc.so.6]`, or `[unknown]`.
    pub fn code_name(&self, code: Code) -> String {
        match code {
            Code::Function(id) => self.strings[self.functions[id].name].to_owned(),
            // Its path has a process number, which differs from run to run.
            Code::Unnamed(id) if self.images[id].kind == ImageKind::Jit => "[jit]".to_owned(),
            Code::Unnamed(id) => {
                let path = &self.strings[self.images[id].path];
                if path.starts_with('[') {
                    path.to_owned()
                } else {
                    format!("[{}]", file_name(path))
                }
            }
            Code::Unmapped => "[unknown]".to_owned(),
        }
    }

    /// Where the code is declared: `src/a.rs:12`, or the image's file name, or an empty text.
    pub fn code_place(&self, code: Code) -> String {
        let image_name = |id: ImageId| file_name(&self.strings[self.images[id].path]).to_owned();
        match code {
            Code::Function(id) => {
                let function = &self.functions[id];
                match (function.file, function.line) {
                    (Some(file), Some(line)) => format!("{}:{line}", &self.strings[file]),
                    (Some(file), None) => self.strings[file].to_owned(),
                    (None, _) => function.image.map(image_name).unwrap_or_default(),
                }
            }
            Code::Unnamed(id) => image_name(id),
            Code::Unmapped => String::new(),
        }
    }

    /// Whether the function belongs to a library: a language's own, a registry's, the system's.
    pub fn is_library(&self, function: FunctionId) -> bool {
        self.functions[function]
            .file
            .is_some_and(|file| is_library_path(&self.strings[file]))
    }
}

/// The last component of a path.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a source path lies in a language's own library, in a package registry's cache, or in
/// the system's headers.
///
/// The rules are those of the tools that write the paths: rustc maps its library to
/// `/rustc/<hash>/library`, cargo unpacks packages under `registry/src`, go its modules under
/// `pkg/mod`, Debian keeps headers under `/usr/include` and `/usr/lib/gcc`.
pub fn is_library_path(path: &str) -> bool {
    path.starts_with("/rustc/")
        || path.contains("/lib/rustlib/src/")
        || path.contains("/registry/src/")
        || path.contains("/git/checkouts/")
        || path.contains("/pkg/mod/")
        || path.starts_with("/usr/include/")
        || path.starts_with("/usr/lib/")
        || path.starts_with("/usr/src/")
        || path.contains("/sysdeps/")
        || path.strip_prefix("./").is_some_and(is_glibc_path)
}

/// Whether a path relative to a source tree lies in a folder of the GNU libc, as Debian builds it.
fn is_glibc_path(path: &str) -> bool {
    const FOLDERS: [&str; 16] = [
        "csu",
        "debug",
        "dlfcn",
        "elf",
        "iconv",
        "io",
        "libio",
        "malloc",
        "math",
        "misc",
        "nptl",
        "posix",
        "signal",
        "stdio-common",
        "stdlib",
        "string",
    ];
    path.split_once('/')
        .is_some_and(|(folder, _)| FOLDERS.contains(&folder))
}
