//! The shape of a log line, version 4 (and 1 to 3, which have fewer fields): mirrors of the values of
//! `hotproof-diff`, converted field by field both ways. A field that is missing on either side does
//! not compile.

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use hotproof_diff as diff;

/// A type that stands for another one on the wire.
pub(super) trait Wire {
    /// The type that it stands for.
    type Value;
    /// What goes on the wire for a value.
    fn of(value: &Self::Value) -> Self;
    /// The value that came from the wire.
    fn value(self) -> Self::Value;
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            type Value = $type;

            fn of(value: &$type) -> Self {
                value.clone()
            }

            fn value(self) -> $type {
                self
            }
        }
    )*};
}

plain!(u32, i32, u64, usize, bool, String);

impl<T: Wire> Wire for Vec<T> {
    type Value = Vec<T::Value>;

    fn of(value: &Self::Value) -> Self {
        value.iter().map(T::of).collect()
    }

    fn value(self) -> Self::Value {
        self.into_iter().map(T::value).collect()
    }
}

impl<T: Wire> Wire for Option<T> {
    type Value = Option<T::Value>;

    fn of(value: &Self::Value) -> Self {
        value.as_ref().map(T::of)
    }

    fn value(self) -> Self::Value {
        self.map(T::value)
    }
}

/// A number, the infinities and not-a-number as the words `inf`, `-inf` and `nan`, which JSON has
/// no numbers for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Float(f64);

impl Wire for Float {
    type Value = f64;

    fn of(value: &f64) -> Self {
        Float(*value)
    }

    fn value(self) -> f64 {
        self.0
    }
}

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            f64::INFINITY => serializer.serialize_str("inf"),
            f64::NEG_INFINITY => serializer.serialize_str("-inf"),
            value if value.is_nan() => serializer.serialize_str("nan"),
            value => serializer.serialize_f64(value),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrWord {
    Number(f64),
    Word(String),
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match NumberOrWord::deserialize(deserializer)? {
            NumberOrWord::Number(value) => Ok(Float(value)),
            NumberOrWord::Word(word) => match word.as_str() {
                "inf" => Ok(Float(f64::INFINITY)),
                "-inf" => Ok(Float(f64::NEG_INFINITY)),
                "nan" => Ok(Float(f64::NAN)),
                other => Err(D::Error::invalid_value(
                    Unexpected::Str(other),
                    &"a number, inf, -inf or nan",
                )),
            },
        }
    }
}

macro_rules! structs {
    ($($name:ident { $($(#[$meta:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        #[derive(Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name { $($(#[$meta])* $field: $type),* }

        impl Wire for $name {
            type Value = diff::$name;

            fn of(value: &diff::$name) -> Self {
                let diff::$name { $($field),* } = value;
                $name { $($field: <$type as Wire>::of($field)),* }
            }

            fn value(self) -> diff::$name {
                diff::$name { $($field: self.$field.value()),* }
            }
        }
    )*};
}

macro_rules! enums {
    ($($name:ident { $($variant:ident),* $(,)? })*) => {$(
        #[derive(Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum $name { $($variant),* }

        impl Wire for $name {
            type Value = diff::$name;

            fn of(value: &diff::$name) -> Self {
                match value { $(diff::$name::$variant => $name::$variant),* }
            }

            fn value(self) -> diff::$name {
                match self { $($name::$variant => diff::$name::$variant),* }
            }
        }
    )*};
}

/// A variable of the environment: name and value.
#[derive(Serialize, Deserialize)]
pub(super) struct Variable(String, String);

impl Wire for Variable {
    type Value = (String, String);

    fn of((name, value): &(String, String)) -> Self {
        Variable(name.clone(), value.clone())
    }

    fn value(self) -> (String, String) {
        (self.0, self.1)
    }
}

// What older lines do not hold, at the value that they were measured with.

fn no_gain() -> Float {
    Float(0.0)
}

fn precision_pairs() -> usize {
    diff::Rule::default().precision_pairs
}

fn shortest_run_ns() -> u64 {
    diff::Rule::default().shortest_run_ns
}

fn is_first(number: &u32) -> bool {
    *number == 0
}

fn one() -> u32 {
    1
}

fn statistical() -> String {
    "statistical".to_owned()
}

fn not_run() -> TestCheck {
    TestCheck::NotRun
}

fn cpu_time() -> SharedTime {
    SharedTime::Cpu
}

fn is_cpu_time(time: &SharedTime) -> bool {
    matches!(time, SharedTime::Cpu)
}

fn no_setup() -> Setup {
    Setup::of(&diff::Setup::default())
}

enums! {
    SharedTime { Cpu, Wall }
    Metric { CpuTime, WallTime, Reported, PeakMemory, Instructions }
    CpuSource { TaskClock, Wait4 }
    Order { BaseFirst, HeadFirst }
    Change { Modified, Added, Removed, Chosen, UsesConstant, UsesType, ExpandsMacro, Dependency }
    OutputCheck { Same, Different, Unstable }
    TestCheck { NotRun, Passed }
}

structs! {
    Metrics {
        cpu_ns: u64,
        cpu_source: CpuSource,
        wall_ns: u64,
        user_ns: u64,
        system_ns: u64,
        run_queue_ns: Option<u64>,
        peak_rss_bytes: u64,
        page_faults: u64,
        context_switches: u64,
        instructions: Option<u64>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reported: Vec<ReportedTime>,
    }
    ReportedTime {
        name: String,
        time_ns: Float,
    }
    FunctionTally {
        function: usize,
        total: u64,
        own: u64,
        physical_self: u64,
        rest: u64,
    }
    Tally {
        samples: u64,
        complete: u64,
        lost: u64,
        unjoinable: u64,
        changed_own: u64,
        changed_below: u64,
        functions: Vec<FunctionTally>,
    }
    Run {
        metrics: Metrics,
        tally: Option<Tally>,
        #[serde(default, skip_serializing_if = "is_first")]
        layout: u32,
    }
    Pair {
        order: Order,
        base: Run,
        head: Run,
    }
    Function {
        name: String,
        key: String,
        file: Option<String>,
        line: Option<u32>,
        change: Option<Change>,
        cause: Option<String>,
    }
    OutsideChange {
        file: String,
        line: u32,
        what: String,
    }
    RefFacts {
        name: String,
        commit: String,
        tree: String,
        subject: String,
    }
    Machine {
        cpu_model: String,
        cpus: u32,
        kernel: String,
        load: Float,
        event: Option<String>,
        rate_hz: Option<u64>,
        rung: String,
        refusal: Option<String>,
        stolen_pct: Option<Float>,
        governor: Option<String>,
    }
    Rule {
        margin: Float,
        #[serde(default = "no_gain")]
        gain: Float,
        #[serde(default)]
        needs_hot: bool,
        #[serde(default = "shortest_run_ns")]
        shortest_run_ns: u64,
        #[serde(default = "one")]
        workloads: u32,
        minimum_effect: Float,
        max_pairs: usize,
        #[serde(default = "precision_pairs")]
        precision_pairs: usize,
        precision: Float,
        hot_floor: Float,
        micro_threshold: Float,
        allow_different_output: bool,
    }
    Setup {
        workload: Option<String>,
        build: Option<String>,
        product: Option<String>,
        directory: String,
        environment: Vec<Variable>,
        stdin: Option<String>,
        exit_status: i32,
        repetitions: u32,
        concurrency: u32,
        scope: Option<String>,
        harness: Option<String>,
        outputs: Vec<String>,
        functions: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tools: Vec<String>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fixed_work: bool,
        #[serde(default, skip_serializing_if = "is_first")]
        layouts: u32,
    }
    CountedEvent {
        name: String,
        count: u64,
    }
    CountedFunction {
        function: usize,
        own: u64,
        total: Option<u64>,
        calls: u64,
    }
    CountedLine {
        function: usize,
        line: u32,
        instructions: u64,
    }
    InstructionCount {
        instructions: u64,
        events: Vec<CountedEvent>,
        changed_own: u64,
        changed_below: u64,
        functions: Vec<CountedFunction>,
        lines: Vec<CountedLine>,
    }
    Witness {
        engine: String,
        alone: bool,
        base: InstructionCount,
        head: InstructionCount,
    }
    Comparison {
        command: Vec<String>,
        #[serde(default = "no_setup")]
        setup: Setup,
        base: RefFacts,
        head: RefFacts,
        machine: Machine,
        rule: Rule,
        #[serde(default = "statistical")]
        policy: String,
        metric: Metric,
        metric_reason: Option<String>,
        #[serde(default = "cpu_time", skip_serializing_if = "is_cpu_time")]
        shared_time: SharedTime,
        seed: u64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        base_runs: Vec<Run>,
        placebo: Vec<Pair>,
        pairs: Vec<Pair>,
        functions: Vec<Function>,
        outside: Vec<OutsideChange>,
        code_changed: bool,
        output: OutputCheck,
        #[serde(default = "not_run")]
        tests: TestCheck,
        warnings: Vec<String>,
        budget_used_up: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        witness: Option<Witness>,
    }
}
