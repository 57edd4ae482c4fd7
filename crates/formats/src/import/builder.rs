//! Fills a profile from formats that name frames instead of giving tables of addresses.

use hotproof_profile::*;
use rustc_hash::FxHashMap;

use super::{ImportError, Limits};

/// Counts bytes of rows down to the limit.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u64,
    limit: u64,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        Budget {
            left: limits.memory_bytes,
            limit: limits.memory_bytes,
        }
    }

    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), ImportError> {
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.ok_or(ImportError::TooLarge {
            limit_bytes: self.limit,
            of: "memory",
        })?;
        Ok(())
    }
}

impl Budget {
    /// Whether there is room, for memory that is given back at once.
    pub(crate) fn check(&self, bytes: usize) -> Result<(), ImportError> {
        if bytes as u64 <= self.left {
            return Ok(());
        }
        Err(ImportError::TooLarge {
            limit_bytes: self.limit,
            of: "memory",
        })
    }
}

/// The place of a frame in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Place {
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
    /// When it is not the function's own.
    pub(crate) file: Option<StringId>,
}

impl Place {
    /// This place as one of a function.
    pub(crate) fn frame(self, function: FunctionId) -> Frame {
        Frame {
            function,
            line: self.line,
            column: self.column,
            file: self.file,
            contradicted: false,
        }
    }
}

/// What makes two locations one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LocationKey {
    pub(crate) image: Option<ImageId>,
    /// Relative to the image, or 0 when the format has no addresses.
    pub(crate) address: u64,
    pub(crate) kind: AddressKind,
    /// Innermost first; empty when nobody knows the name.
    pub(crate) frames: Vec<(FunctionId, Place)>,
}

/// A profile in the making; everything is interned.
#[derive(Debug)]
pub(crate) struct Builder {
    pub(crate) profile: Profile,
    pub(crate) budget: Budget,
    processes: FxHashMap<(u32, StringId), ProcessId>,
    threads: FxHashMap<(ProcessId, u32, StringId), ThreadId>,
    images: FxHashMap<StringId, ImageId>,
    functions: FxHashMap<Function, FunctionId>,
    locations: FxHashMap<LocationKey, LocationId>,
    stacks: FxHashMap<Stack, StackId>,
}

impl Builder {
    pub(crate) fn new(limits: Limits, weights: Vec<Weight>) -> Self {
        let mut profile = Profile::default();
        profile.samples.weights = vec![Vec::new(); weights.len()];
        profile.weights = weights;
        Builder {
            profile,
            budget: Budget::new(limits),
            processes: FxHashMap::default(),
            threads: FxHashMap::default(),
            images: FxHashMap::default(),
            functions: FxHashMap::default(),
            locations: FxHashMap::default(),
            stacks: FxHashMap::default(),
        }
    }

    pub(crate) fn text(&mut self, text: &str) -> Result<StringId, ImportError> {
        if let Some(id) = self.profile.strings.find(text) {
            return Ok(id);
        }
        self.budget.take(2 * (text.len() + size_of::<Box<str>>()))?;
        Ok(self.profile.strings.intern(text))
    }

    pub(crate) fn process(&mut self, pid: u32, name: &str) -> Result<ProcessId, ImportError> {
        let name = self.text(name)?;
        if let Some(&id) = self.processes.get(&(pid, name)) {
            return Ok(id);
        }
        self.budget.take(2 * size_of::<Process>())?;
        let id = self.profile.processes.push(Process {
            pid,
            name,
            start_ns: 0,
            end_ns: None,
        });
        self.processes.insert((pid, name), id);
        Ok(id)
    }

    pub(crate) fn thread(
        &mut self,
        process: ProcessId,
        tid: u32,
        name: &str,
    ) -> Result<ThreadId, ImportError> {
        let name = self.text(name)?;
        let key = (process, tid, name);
        if let Some(&id) = self.threads.get(&key) {
            return Ok(id);
        }
        self.budget.take(2 * size_of::<Thread>())?;
        let id = self.profile.threads.push(Thread {
            process,
            tid,
            name,
            start_ns: 0,
            end_ns: None,
        });
        self.threads.insert(key, id);
        Ok(id)
    }

    /// The thread of formats that name none: it has neither number nor name.
    pub(crate) fn nameless_thread(&mut self) -> Result<ThreadId, ImportError> {
        let process = self.process(0, "")?;
        self.thread(process, 0, "")
    }

    /// The image of this path, guessed to be the kind of image that such a path names.
    pub(crate) fn image(&mut self, path: &str) -> Result<ImageId, ImportError> {
        let text = self.text(path)?;
        if let Some(&id) = self.images.get(&text) {
            return Ok(id);
        }
        self.budget.take(2 * size_of::<Image>())?;
        let id = self.profile.images.push(Image {
            path: text,
            build_id: Vec::new(),
            kind: image_kind(path),
        });
        self.images.insert(text, id);
        Ok(id)
    }

    /// A function as another format names it: demangled name, linker's name, file, line.
    pub(crate) fn function(
        &mut self,
        name: &str,
        linkage_name: &str,
        file: Option<&str>,
        line: Option<u32>,
    ) -> Result<FunctionId, ImportError> {
        let row = Function {
            name: self.text(name)?,
            linkage_name: self.text(linkage_name)?,
            file: file.map(|file| self.text(file)).transpose()?,
            line,
            image: None,
            source: Source::Import,
        };
        self.function_row(row)
    }

    pub(crate) fn function_row(&mut self, row: Function) -> Result<FunctionId, ImportError> {
        if let Some(&id) = self.functions.get(&row) {
            return Ok(id);
        }
        self.budget.take(2 * size_of::<Function>())?;
        let id = self.profile.functions.push(row.clone());
        self.functions.insert(row, id);
        Ok(id)
    }

    pub(crate) fn location(&mut self, key: LocationKey) -> Result<LocationId, ImportError> {
        if let Some(&id) = self.locations.get(&key) {
            return Ok(id);
        }
        let frame = size_of::<Frame>() + size_of::<(FunctionId, Place)>();
        let row = size_of::<Location>() + size_of::<LocationKey>();
        self.budget.take(row + key.frames.len() * frame)?;
        let row = Location::unresolved(key.image, key.address, key.kind);
        let id = self.profile.locations.push(row);
        let frames = key.frames.iter();
        let frames: Vec<Frame> = frames
            .map(|&(function, place)| place.frame(function))
            .collect();
        self.profile.set_frames(id, &frames);
        self.locations.insert(key, id);
        Ok(id)
    }

    /// The location of a frame that is known by its name alone. `[unknown]` is no name.
    pub(crate) fn named(&mut self, name: &str) -> Result<LocationId, ImportError> {
        let mut frames = Vec::new();
        if name != "[unknown]" {
            let function = self.function(name, "", None, None)?;
            frames.push((function, Place::default()));
        }
        self.location(LocationKey {
            image: None,
            address: 0,
            kind: AddressKind::Adjusted,
            frames,
        })
    }

    pub(crate) fn stack(
        &mut self,
        parent: Option<StackId>,
        location: LocationId,
    ) -> Result<StackId, ImportError> {
        let row = Stack { parent, location };
        if let Some(&id) = self.stacks.get(&row) {
            return Ok(id);
        }
        self.budget.take(4 * size_of::<Stack>())?;
        let id = self.profile.stacks.push(row);
        self.stacks.insert(row, id);
        Ok(id)
    }

    pub(crate) fn labels(&mut self, set: &[Label]) -> Result<LabelSetId, ImportError> {
        self.budget.take(2 * size_of_val(set))?;
        Ok(self.profile.labels.intern(set))
    }

    pub(crate) fn sample(&mut self, sample: &Sample<'_>) -> Result<(), ImportError> {
        self.budget
            .take(size_of::<Sample<'_>>() + size_of_val(sample.weights))?;
        let added = Sink::sample(&mut self.profile, sample);
        debug_assert!(added.is_ok(), "a profile takes every sample");
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Profile, ImportError> {
        self.profile.validate()?;
        Ok(self.profile)
    }
}

/// What code that was made at run time is called when it has no file.
pub(crate) const JIT: &str = "[jit]";

/// The kind of image that such a path names.
pub(crate) fn image_kind(path: &str) -> ImageKind {
    if path.starts_with("[kernel") || path.starts_with("[guest.kernel") {
        ImageKind::Kernel
    } else if path == "[vdso]" || path == "[vsyscall]" {
        ImageKind::Vdso
    } else if path == "//anon" || path == "[heap]" || path == "[stack]" {
        ImageKind::Anonymous
    } else if path == JIT || (path.starts_with("/tmp/perf-") && path.ends_with(".map")) {
        ImageKind::Jit
    } else if is_module(path) {
        ImageKind::Module
    } else {
        ImageKind::Elf
    }
}

/// `[ext4]`, as perf prints modules, or the file of one.
fn is_module(path: &str) -> bool {
    let bracketed = path.starts_with('[') && path.ends_with(']') && path != "[unknown]";
    bracketed
        || [".ko", ".ko.gz", ".ko.xz", ".ko.zst"]
            .iter()
            .any(|end| path.ends_with(end))
}
