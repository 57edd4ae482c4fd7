//! The verdict, its words and its exit code.

mod causes;
mod table;
mod words;

pub(crate) use table::{Facts, decide};
pub(crate) use words::sentence;

/// What to do with the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Faster, and the changed functions carry it.
    Keep,
    /// Faster, but no function changed by line: what changed is told beside it.
    KeepUnattributed,
    /// Faster, and the changed functions do not carry it, but it holds over every layout of the
    /// code that was measured.
    KeepUnexplained,
    /// The changed function is much faster; the whole is too large to show it.
    KeepMicroOnly,
    /// No useful gain.
    Discard,
    /// Slower.
    Regression,
    /// The measurement does not decide.
    Inconclusive,
    /// The changed functions hardly run.
    NotOnHotPath,
    /// The machine or the setup cannot give a verdict.
    Refused,
    /// Head executes fewer instructions; no time was measured.
    FewerInstructions,
    /// Head executes more instructions; no time was measured.
    MoreInstructions,
    /// Head executes as many instructions, within the margin; no time was measured.
    SameInstructions,
}

impl Verdict {
    /// All verdicts, in the order of their documentation.
    pub const ALL: [Verdict; 12] = [
        Verdict::Keep,
        Verdict::KeepUnattributed,
        Verdict::KeepUnexplained,
        Verdict::KeepMicroOnly,
        Verdict::Discard,
        Verdict::Regression,
        Verdict::Inconclusive,
        Verdict::NotOnHotPath,
        Verdict::Refused,
        Verdict::FewerInstructions,
        Verdict::MoreInstructions,
        Verdict::SameInstructions,
    ];

    /// The word that a person reads first.
    pub fn label(self) -> &'static str {
        match self {
            Verdict::Keep => "KEEP",
            Verdict::KeepUnattributed => "KEEP, unattributed",
            Verdict::KeepUnexplained => "KEEP, unexplained",
            Verdict::KeepMicroOnly => "KEEP, micro-only",
            Verdict::Discard => "DISCARD",
            Verdict::Regression => "REGRESSION",
            Verdict::Inconclusive => "INCONCLUSIVE",
            Verdict::NotOnHotPath => "NOT ON THE HOT PATH",
            Verdict::Refused => "REFUSED",
            Verdict::FewerInstructions => "FEWER INSTRUCTIONS",
            Verdict::MoreInstructions => "MORE INSTRUCTIONS",
            Verdict::SameInstructions => "AS MANY INSTRUCTIONS",
        }
    }

    /// The stable name for machines.
    pub fn id(self) -> &'static str {
        match self {
            Verdict::Keep => "keep",
            Verdict::KeepUnattributed => "keep_unattributed",
            Verdict::KeepUnexplained => "keep_unexplained",
            Verdict::KeepMicroOnly => "keep_micro_only",
            Verdict::Discard => "discard",
            Verdict::Regression => "regression",
            Verdict::Inconclusive => "inconclusive",
            Verdict::NotOnHotPath => "not_on_hot_path",
            Verdict::Refused => "refused",
            Verdict::FewerInstructions => "fewer_instructions",
            Verdict::MoreInstructions => "more_instructions",
            Verdict::SameInstructions => "same_instructions",
        }
    }

    /// How the process ends.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Verdict::Keep
            | Verdict::KeepUnattributed
            | Verdict::KeepUnexplained
            | Verdict::KeepMicroOnly
            | Verdict::FewerInstructions => ExitCode::Keep,
            Verdict::Discard | Verdict::SameInstructions => ExitCode::Discard,
            Verdict::Regression | Verdict::MoreInstructions => ExitCode::Regression,
            Verdict::Inconclusive => ExitCode::Inconclusive,
            Verdict::NotOnHotPath => ExitCode::NotOnHotPath,
            Verdict::Refused => ExitCode::Refused,
        }
    }
}

/// How the process ends, for all commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitCode {
    /// Keep; yes; done.
    Keep,
    /// hotproof itself failed.
    Failure,
    /// The command line makes no sense.
    Usage,
    /// Discard.
    Discard,
    /// Regression.
    Regression,
    /// Inconclusive; undecided.
    Inconclusive,
    /// Not on the hot path; no.
    NotOnHotPath,
    /// The environment refuses.
    Refused,
    /// The target, its build or its tests failed.
    TargetFailed,
}

impl ExitCode {
    /// All codes, ascending.
    pub const ALL: [ExitCode; 9] = [
        ExitCode::Keep,
        ExitCode::Failure,
        ExitCode::Usage,
        ExitCode::Discard,
        ExitCode::Regression,
        ExitCode::Inconclusive,
        ExitCode::NotOnHotPath,
        ExitCode::Refused,
        ExitCode::TargetFailed,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            ExitCode::Keep => 0,
            ExitCode::Failure => 1,
            ExitCode::Usage => 2,
            ExitCode::Discard => 10,
            ExitCode::Regression => 11,
            ExitCode::Inconclusive => 12,
            ExitCode::NotOnHotPath => 13,
            ExitCode::Refused => 20,
            ExitCode::TargetFailed => 21,
        }
    }

    /// What it means, for `--help`.
    pub fn meaning(self) -> &'static str {
        match self {
            ExitCode::Keep => "keep, yes, done",
            ExitCode::Failure => "hotproof itself failed",
            ExitCode::Usage => "the command line makes no sense",
            ExitCode::Discard => "discard: no useful gain",
            ExitCode::Regression => "regression: slower",
            ExitCode::Inconclusive => "inconclusive, undecided",
            ExitCode::NotOnHotPath => "not on the hot path, no",
            ExitCode::Refused => {
                "the environment refuses: permission, machine too noisy, unlike builds"
            }
            ExitCode::TargetFailed => "the target, its build or its tests failed",
        }
    }
}
