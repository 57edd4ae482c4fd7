//! Makes small profiles from words.

use hotproof_profile::*;

/// A file of the user, and one of the standard library.
pub(crate) const USER: &str = "/home/u/src/lib.rs";
pub(crate) const LIBRARY: &str = "/rustc/0123abcd/library/core/src/num.rs";

/// One thread, one image `bench`, two weights (samples and nanoseconds).
pub(crate) struct Maker {
    pub(crate) profile: Profile,
    pub(crate) thread: ThreadId,
    pub(crate) image: ImageId,
    next_address: u64,
}

impl Maker {
    pub(crate) fn new() -> Self {
        let mut p = Profile::default();
        let weight = |name: &str, unit| Weight {
            name: name.into(),
            unit,
        };
        let weights = [
            weight("samples", Unit::Count),
            weight("cpu", Unit::Nanoseconds),
        ];
        p.weights(&weights).unwrap();
        let name = p.strings.intern("bench");
        let process = p.processes.push(Process {
            pid: 1,
            name,
            start_ns: 0,
            end_ns: None,
        });
        let thread = Thread {
            process,
            tid: 1,
            name,
            start_ns: 0,
            end_ns: None,
        };
        let thread = p.threads.push(thread);
        let path = p.strings.intern("/home/u/bench");
        let image = p.images.push(Image {
            path,
            build_id: Vec::new(),
            kind: ImageKind::Elf,
        });
        Maker {
            profile: p,
            thread,
            image,
            next_address: 0x1000,
        }
    }

    /// A function; one of a name that was seen before is another function all the same.
    pub(crate) fn function(&mut self, name: &str, file: Option<&str>) -> FunctionId {
        let p = &mut self.profile;
        let row = Function {
            name: p.strings.intern(name),
            linkage_name: p.strings.intern(""),
            file: file.map(|file| p.strings.intern(file)),
            line: None,
            image: Some(self.image),
            source: Source::Dwarf,
        };
        p.functions.push(row)
    }

    /// A new address with these frames, innermost first; unnamed when there are none.
    pub(crate) fn location(&mut self, frames: &[FunctionId]) -> LocationId {
        self.next_address += 16;
        let address = self.next_address;
        let row = Location::unresolved(Some(self.image), address, AddressKind::Ip);
        let id = self.profile.locations.push(row);
        let frame = |&function: &FunctionId| Frame::of(function);
        let frames: Vec<Frame> = frames.iter().map(frame).collect();
        self.profile.set_frames(id, &frames);
        id
    }

    /// A stack of these locations, root first.
    pub(crate) fn stack(&mut self, locations: &[LocationId]) -> StackId {
        let mut parent = None;
        for &location in locations {
            parent = Some(self.profile.stacks.push(Stack { parent, location }));
        }
        parent.expect("a stack has a location")
    }

    /// One sample of each weight `samples` and `cpu`.
    pub(crate) fn sample(&mut self, stack: Option<StackId>, weights: [i64; 2]) {
        let sample = Sample {
            thread: self.thread,
            time_ns: 0,
            stack,
            weights: &weights,
            cpu: None,
            end: StackEnd::Complete,
            labels: None,
        };
        Sink::sample(&mut self.profile, &sample).unwrap();
    }
}

/// `(name, total, self, self with library, samples)` in the order of the rows.
pub(crate) type Row = (String, i64, i64, i64, u64);

pub(crate) fn rows(profile: &Profile, weight: usize, inline: Inline) -> Vec<Row> {
    let row = |row: CodeTotal| {
        let name = profile.code_name(row.code);
        (
            name,
            row.total,
            row.self_weight,
            row.self_with_library,
            row.samples,
        )
    };
    profile
        .code_totals(weight, inline)
        .into_iter()
        .map(row)
        .collect()
}

pub(crate) fn row(name: &str, total: i64, own: i64, with_library: i64, samples: u64) -> Row {
    (name.to_owned(), total, own, with_library, samples)
}
