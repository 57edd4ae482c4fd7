//! Random profiles that every viewer can show: recursion, inlined functions, code without names,
//! several threads, names that are hard to print; the same for the same seed.

use hotproof_profile::*;

/// Names that any text table prints as they are.
pub(crate) const PLAIN: [&str; 8] = [
    "main",
    "parse::number",
    "core::num::wrapping_add",
    "<T as Sum>::sum",
    "f(int, char const*)",
    "runtime.mcall",
    "operator<<",
    "{closure#0}",
];

/// Names that markup, escapes and separators could spoil.
const HARD: [&str; 8] = [
    "<[u8; 4] as Hash>::hash",
    "worker 2",
    "a;b;c 7",
    "back\\slash \\n",
    "<script>alert(\"1\")</script>",
    "gr\u{f6}\u{df}e \u{64cd}\u{4f5c}",
    "'quoted' & \"so\"",
    "two\nlines\tand a tab",
];

/// Which names the functions have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    Plain,
    Hard,
}

/// A small generator (xorshift), so that a seed means the same profile for ever.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// A profile with the weights `samples` and `cpu`, of as many threads.
pub(crate) fn profile(seed: u64, names: Names, threads: usize) -> Profile {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut p = Profile::default();
    p.meta.command = vec![format!("random {seed}")];
    p.weights = ["samples", "cpu"]
        .map(|name| Weight {
            name: name.to_owned(),
            unit: if name == "cpu" {
                Unit::Nanoseconds
            } else {
                Unit::Count
            },
        })
        .to_vec();
    p.samples.weights = vec![Vec::new(); 2];
    add_threads(&mut p, threads);
    add_code(&mut p, &mut dice, names);
    for depth in 0..40 {
        let parent = (depth > 0 && dice.below(6) > 0).then(|| dice.below(depth));
        let location = LocationId::from_index(dice.below(p.locations.len()));
        p.stacks.push(Stack {
            parent: parent.map(StackId::from_index),
            location,
        });
    }
    for row in 0..60 {
        let stack = StackId::from_index(dice.below(p.stacks.len()));
        let sample = Sample {
            thread: ThreadId::from_index(dice.below(threads)),
            time_ns: row * 1_000_000,
            stack: Some(stack),
            weights: &[1 + dice.below(4) as i64, 1 + dice.below(3_000_000) as i64],
            cpu: Some(dice.below(2) as u32),
            end: StackEnd::Complete,
            labels: None,
        };
        Sink::sample(&mut p, &sample).unwrap();
    }
    p
}

fn add_threads(p: &mut Profile, threads: usize) {
    let name = p.strings.intern("bench");
    let process = p.processes.push(Process {
        pid: 100,
        name,
        start_ns: 0,
        end_ns: None,
    });
    for number in 0..threads {
        p.threads.push(Thread {
            process,
            tid: 100 + number as u32,
            name,
            start_ns: 0,
            end_ns: None,
        });
    }
}

fn add_code(p: &mut Profile, dice: &mut Dice, names: Names) {
    let images = ["/usr/bin/bench", "/usr/lib/libx.so.1"].map(|path| {
        let path = p.strings.intern(path);
        p.images.push(Image {
            path,
            build_id: vec![1, 2],
            kind: ImageKind::Elf,
        })
    });
    let mut list: Vec<&str> = PLAIN.to_vec();
    if names == Names::Hard {
        list.extend(HARD);
    }
    let empty = p.strings.intern("");
    let file = p.strings.intern("src/a.rs");
    for (number, name) in list.iter().enumerate() {
        let name = p.strings.intern(name);
        p.functions.push(Function {
            name,
            linkage_name: empty,
            file: Some(file),
            line: Some(10 * number as u32 + 1),
            image: Some(images[0]),
            source: Source::Dwarf,
        });
    }
    let functions = p.functions.len();
    for number in 0..24u64 {
        // Readers that print tables name code without a name in their own way.
        let unnamed = names == Names::Hard && dice.below(8) == 0;
        // A function is in one image: some readers take it for another function elsewhere.
        let image = images[usize::from(unnamed)];
        let address = 0x1000 + 16 * number;
        let location = Location::unresolved(Some(image), address, AddressKind::Ip);
        let location = p.locations.push(location);
        let count = if unnamed { 0 } else { 1 + dice.below(3) };
        let frames = (0..count).map(|_| Frame {
            line: Some(1 + dice.below(99) as u32),
            ..Frame::of(FunctionId::from_index(dice.below(functions)))
        });
        let frames: Vec<Frame> = frames.collect();
        p.set_frames(location, &frames);
    }
}
