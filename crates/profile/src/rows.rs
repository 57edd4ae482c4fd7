//! The rows of the tables: plain facts, ids instead of references.

use std::ops::Range;

use crate::id::{
    FrameId, FunctionId, ImageId, LabelSetId, LocationId, ProcessId, StackId, StringId, SymbolId,
    ThreadId,
};

/// What was recorded, how, and what is missing from it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Meta {
    /// The command and its arguments; not UTF-8 is replaced.
    pub command: Vec<String>,
    /// Start of the recording, nanoseconds since the Unix epoch; `None` when unknown.
    pub started_unix_ns: Option<u64>,
    /// Wall time from the target's start to its end.
    pub duration_ns: u64,
    /// The clock of [`Samples::time_ns`], for example `monotonic`.
    pub clock: String,
    /// The event that was sampled, as the field names it: `cycles`, `cpu-clock`, `ptrace`.
    pub event: String,
    /// Events between two samples; `None` when the kernel adapts the period to a rate.
    pub period: Option<u64>,
    /// Samples a second asked for; `None` when a period was asked for.
    pub rate_hz: Option<u64>,
    /// Which rung of the permission ladder ran, in words: `perf events, kernel and user`.
    pub rung: String,
    /// How stacks were taken, in words: `registers and 31 KiB of stack, unwound by CFI`.
    pub unwinder: String,
    /// Exactly counted CPU time of the process tree; `None` when it could not be counted.
    pub cpu_time_ns: Option<u64>,
    /// What was counted over the whole process tree from exec to exit, beside CPU time. Counts are
    /// of the whole recording, whatever samples were left out of the profile since.
    pub counters: Vec<Counter>,
    /// CPU time that the recorder itself used.
    pub recorder_cpu_ns: Option<u64>,
    /// How the target ended; `None` when it was still running or is unknown.
    pub exit: Option<Exit>,
    /// Samples and records that the kernel dropped.
    pub lost: Lost,
    /// The machine.
    pub host: Host,
    /// What a reader has to know to read the profile right, one sentence each.
    pub notes: Vec<String>,
}

/// One exact count of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Counter {
    /// As perf names it: `page-faults`, `context-switches`, `instructions`.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
    /// How many; an estimate where `counted` is below 1.
    pub value: u64,
    /// Share of the run during which it counted, 0 to 1: hardware counters take turns when there
    /// are too few of them, and `value` is then what was seen divided by this share.
    pub counted: f64,
}

/// How the target ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

/// What the kernel or the recorder dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// Samples.
    pub samples: u64,
    /// Other records (mappings, forks): stacks may be unnamed because of them.
    pub records: u64,
    /// Times that the kernel throttled the event.
    pub throttled: u64,
}

/// The machine that was recorded on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// `x86_64` or `aarch64`.
    pub arch: String,
    /// Kernel release.
    pub kernel: String,
    /// CPU model.
    pub cpu_model: String,
    /// CPUs online.
    pub cpus: u32,
}

/// The unit of a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Things counted.
    Count,
    /// Time.
    Nanoseconds,
    /// Memory.
    Bytes,
    /// CPU cycles.
    Cycles,
    /// Instructions.
    Instructions,
}

impl Unit {
    /// Its name in documents: plural, lower case.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Count => "count",
            Unit::Nanoseconds => "nanoseconds",
            Unit::Bytes => "bytes",
            Unit::Cycles => "cycles",
            Unit::Instructions => "instructions",
        }
    }
}

/// One column of sample weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// For example `samples` or `cpu`.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
}

/// Name of the weight that is time in which a thread waited for something, in recordings that hold
/// time off the CPU.
pub const BLOCKED: &str = "blocked";
/// Name of the weight that is time in which a thread could run and waited for a CPU.
pub const PREEMPTED: &str = "preempted";
/// Name of the weight that is the time of the whole run, each moment once: one in which threads run
/// is shared among them, and one in which none runs belongs to the thread that runs next, which is
/// what the run as a whole waited for.
pub const ELAPSED: &str = "elapsed";

/// Name of the counter of the time that the main thread could run and waited for a CPU.
pub const RUN_QUEUE: &str = "run-queue-main-thread";

/// What stands for the command of a recording of everything that runs.
pub const WHOLE_SYSTEM: &str = "whole system";

/// One exec image of a process: a new row after each exec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Kernel process id.
    pub pid: u32,
    /// Command name.
    pub name: StringId,
    /// Start, on the profile's clock.
    pub start_ns: u64,
    /// End, when it was seen.
    pub end_ns: Option<u64>,
}

/// One thread of one exec image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Its process.
    pub process: ProcessId,
    /// Kernel thread id.
    pub tid: u32,
    /// Thread name.
    pub name: StringId,
    /// Start, on the profile's clock.
    pub start_ns: u64,
    /// End, when it was seen.
    pub end_ns: Option<u64>,
}

/// What kind of code an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageKind {
    /// An ELF file.
    Elf,
    /// The kernel's page of user code.
    Vdso,
    /// The kernel itself.
    Kernel,
    /// A kernel module.
    Module,
    /// Code made at run time, named by a perf map or jitdump.
    Jit,
    /// Executable memory without a file or a name.
    Anonymous,
}

/// One binary, or another source of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Where the target saw it: a path, `[vdso]`, `[kernel]`.
    pub path: StringId,
    /// The GNU build-id; empty when there is none.
    pub build_id: Vec<u8>,
    /// What it is.
    pub kind: ImageKind,
}

/// An image in the address space of a process for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Whose address space; `None` for the kernel's.
    pub process: Option<ProcessId>,
    /// First address, at run time (avma).
    pub start: u64,
    /// End, exclusive (avma).
    pub end: u64,
    /// Offset of `start` in the image's file.
    pub file_offset: u64,
    /// The image.
    pub image: ImageId,
    /// Mapped at, on the profile's clock.
    pub from_ns: u64,
    /// Unmapped at, when it was seen.
    pub to_ns: Option<u64>,
}

/// One entry of a symbol table: the linker's view of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// The image that holds it.
    pub image: ImageId,
    /// Its name as the symbol table has it, mangled, suffixes (`.cold`) kept.
    pub linkage_name: StringId,
    /// Relative address of its first byte.
    pub address: u64,
    /// Size in bytes; 0 when unknown.
    pub size: u64,
}

/// Who named a frame: what was read, wherever the file that holds it came from.
///
/// The order is that in which the sources of a binary are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// DWARF debug information: of the binary, of its debug file, or split from its objects.
    Dwarf,
    /// The full symbol table, `.symtab`.
    SymbolTable,
    /// The compressed symbol table of a stripped binary, `.gnu_debugdata`.
    MiniDebugInfo,
    /// The dynamic symbol table, `.dynsym`.
    DynamicSymbols,
    /// Go's own table of functions, `.gopclntab`.
    GoTable,
    /// A stub of the procedure linkage table, named after the function that it calls.
    Plt,
    /// The start of a function in `.eh_frame`, without a name.
    UnwindTable,
    /// `/proc/kallsyms`.
    Kallsyms,
    /// A perf map, `/tmp/perf-PID.map`.
    PerfMap,
    /// A jitdump, `jit-PID.dump`.
    Jitdump,
    /// Another profile format, which named it before us.
    Import,
}

impl Source {
    /// All of them, in their order.
    pub const ALL: [Source; 11] = [
        Source::Dwarf,
        Source::SymbolTable,
        Source::MiniDebugInfo,
        Source::DynamicSymbols,
        Source::GoTable,
        Source::Plt,
        Source::UnwindTable,
        Source::Kallsyms,
        Source::PerfMap,
        Source::Jitdump,
        Source::Import,
    ];

    /// What outputs call it; these words are stable.
    pub fn word(self) -> &'static str {
        match self {
            Source::Dwarf => "dwarf",
            Source::SymbolTable => "symtab",
            Source::MiniDebugInfo => "minidebuginfo",
            Source::DynamicSymbols => "dynsym",
            Source::GoTable => "pclntab",
            Source::Plt => "plt",
            Source::UnwindTable => "eh_frame",
            Source::Kallsyms => "kallsyms",
            Source::PerfMap => "perfmap",
            Source::Jitdump => "jitdump",
            Source::Import => "import",
        }
    }

    /// The source that a word of [`Source::word`] names; `None` for any other.
    ///
    /// ```
    /// use hotproof_profile::Source;
    ///
    /// assert_eq!(Source::of_word("symtab"), Some(Source::SymbolTable));
    /// assert!(Source::ALL.is_sorted());
    /// for source in Source::ALL {
    ///     assert_eq!(Source::of_word(source.word()), Some(source));
    /// }
    /// ```
    pub fn of_word(word: &str) -> Option<Source> {
        Source::ALL.into_iter().find(|source| source.word() == word)
    }
}

/// One source function. All generic instances of one function may share a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Function {
    /// Demangled name without hash.
    pub name: StringId,
    /// Mangled name when known, else the empty text.
    pub linkage_name: StringId,
    /// Declared file as debug information spells it, made absolute; `None` when unknown.
    pub file: Option<StringId>,
    /// Declared line, counted from 1; `None` when unknown.
    pub line: Option<u32>,
    /// The image that the function came from; `None` for imports.
    pub image: Option<ImageId>,
    /// Who named it.
    pub source: Source,
}

/// One function at one place of the source, within a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The function.
    pub function: FunctionId,
    /// Line in `file` that the address belongs to; `None` when unknown.
    pub line: Option<u32>,
    /// Column; `None` when unknown.
    pub column: Option<u32>,
    /// File of `line`, when it differs from the function's declared file.
    pub file: Option<StringId>,
    /// Whether the line table contradicts the function: it puts the address into a file that the
    /// inlined function named for it is not declared in, so name and line cannot both be right.
    pub contradicted: bool,
}

impl Frame {
    /// A function at an unknown place of its source.
    pub fn of(function: FunctionId) -> Frame {
        Frame {
            function,
            line: None,
            column: None,
            file: None,
            contradicted: false,
        }
    }
}

/// How an address was obtained; decides what a symbolizer looks up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// The instruction itself.
    Ip,
    /// The instruction after a call: look up `address - 1`.
    ReturnAddress,
    /// Already moved into the call: look up as it is.
    Adjusted,
}

/// Whether a location has been named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LocationState {
    /// Nobody has looked.
    Unresolved,
    /// `frames` holds at least one frame.
    Resolved,
    /// Somebody looked and found no name.
    Unknown,
}

/// One address of an image, with the frames that were inlined there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The image; `None` when the address lies in no known mapping.
    pub image: Option<ImageId>,
    /// Address relative to the image's base (the lowest loadable address of an ELF file), or the
    /// address at run time when `image` is `None`, the kernel or run-time code.
    pub address: u64,
    /// How it was obtained.
    pub kind: AddressKind,
    /// The linker's symbol that covers it.
    pub symbol: Option<SymbolId>,
    /// Rows of the frame table, innermost first; empty unless `state` is `Resolved`.
    pub frames: Range<u32>,
    /// Whether it has been named.
    pub state: LocationState,
}

impl Location {
    /// A location that nobody has named yet.
    pub fn unresolved(image: Option<ImageId>, address: u64, kind: AddressKind) -> Self {
        Location {
            image,
            address,
            kind,
            symbol: None,
            frames: 0..0,
            state: LocationState::Unresolved,
        }
    }

    /// The ids of its frames, innermost first.
    pub fn frame_ids(
        &self,
    ) -> impl DoubleEndedIterator<Item = FrameId> + ExactSizeIterator + use<> {
        self.frames.clone().map(FrameId)
    }

    /// The address to look up: one byte back for a return address, so that it lies in the call.
    pub fn lookup_address(&self) -> u64 {
        match self.kind {
            AddressKind::ReturnAddress => self.address.saturating_sub(1),
            AddressKind::Ip | AddressKind::Adjusted => self.address,
        }
    }
}

/// A path from the root to a leaf, as its leaf and the path above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stack {
    /// The caller's path; `None` at the root. A parent's row comes before its children's.
    pub parent: Option<StackId>,
    /// The leaf.
    pub location: LocationId,
}

/// Whether a stack reaches the start of its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StackEnd {
    /// It reaches the thread's start.
    Complete,
    /// It was cut: the stack was deeper than what was copied, or than a limit.
    Truncated,
    /// Unwinding failed: no unwind information, or memory that made no sense.
    Failed,
    /// The format or the mode did not say (frame pointers, imports).
    Unknown,
    /// It reaches the thread's start, but its outer part was read from the running thread a moment
    /// later: its outer callers are likely, and not certain enough to be attributed anything.
    Stitched,
}

/// One observation of one thread, ready to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample<'a> {
    /// Whose.
    pub thread: ThreadId,
    /// When, on the profile's clock.
    pub time_ns: u64,
    /// What was on the stack; `None` when nothing is known.
    pub stack: Option<StackId>,
    /// One figure for each row of the profile's weights.
    pub weights: &'a [i64],
    /// On which CPU, when known.
    pub cpu: Option<u32>,
    /// Whether the stack is whole.
    pub end: StackEnd,
    /// What else is known of it; `None` when nothing is.
    pub labels: Option<LabelSetId>,
}

/// All samples, by column. Row `i` of each column is sample `i`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Samples {
    /// Whose.
    pub thread: Vec<ThreadId>,
    /// When, on the profile's clock.
    pub time_ns: Vec<u64>,
    /// What was on the stack.
    pub stack: Vec<Option<StackId>>,
    /// `weights[k][i]`: weight `k` of sample `i`.
    pub weights: Vec<Vec<i64>>,
    /// On which CPU.
    pub cpu: Vec<Option<u32>>,
    /// Whether the stack is whole.
    pub end: Vec<StackEnd>,
    /// What else is known of it.
    pub labels: Vec<Option<LabelSetId>>,
}

impl Samples {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.thread.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.thread.is_empty()
    }

    pub(crate) fn push(&mut self, sample: &Sample<'_>) {
        self.thread.push(sample.thread);
        self.time_ns.push(sample.time_ns);
        self.stack.push(sample.stack);
        self.cpu.push(sample.cpu);
        self.end.push(sample.end);
        self.labels.push(sample.labels);
        if self.weights.len() < sample.weights.len() {
            self.weights.resize(sample.weights.len(), Vec::new());
        }
        for (column, &weight) in self.weights.iter_mut().zip(sample.weights) {
            column.push(weight);
        }
    }
}
