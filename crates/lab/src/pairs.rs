//! The runs of a comparison: what the schedule asks for, done with processes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hotproof_diff::changes::{Elapsed, Joiner};
use hotproof_diff::{
    Comparison, Function, InstructionCount, Metric, Metrics, ReportedTime, Run, SharedTime, Side,
    Tally, Witness,
};
use hotproof_profile::transform::{Transform, keep};
use hotproof_profile::{ELAPSED, Profile};
use hotproof_profiler::{DEFAULT_RATE_HZ, OffCpu, Refusal, Rung, Sampled, Sampling};
use hotproof_symbolizer::Symbolizer;

use crate::build::Place;
use crate::callgrind::{self, Counted, Valgrind};
use crate::error::LabError;
use crate::event::{Checkout, Event, Observer};
use crate::facts;
use crate::harness::Harness;
use crate::layouts::Layouts;
use crate::naming::{self, Naming};
use crate::options::{self, Counting, Options, RunProfiles};
use crate::output::Outputs;
use crate::profiles::Profiles;
use crate::resume;
use crate::run::{Limit, Outcome, Runner, Task};
use crate::schedule::{self, Fixed, Placebo, Plan, Threads, Workload};
use crate::scratch::{Folder, Scratch};

/// The weight of samples that is CPU time.
const CPU: &str = "cpu";

/// One checkout, ready to run.
struct Seat {
    task: Task,
    /// The layouts of its programs, and which one they have now.
    layouts: Option<Layouts>,
    turned: Option<u32>,
}

impl Seat {
    /// Lets its programs be one of their layouts.
    fn turn(&mut self, layout: u32) -> Result<(), LabError> {
        let Some(layouts) = self
            .layouts
            .as_ref()
            .filter(|_| self.turned != Some(layout))
        else {
            return Ok(());
        };
        layouts.turn(layout).map_err(|source| LabError::File {
            action: "choose a layout in",
            path: self.task.worktree.clone(),
            source,
        })?;
        self.turned = Some(layout);
        Ok(())
    }
}

/// The runs of a comparison.
pub(crate) struct Pairs<'a> {
    runner: Runner,
    folder: &'a Folder,
    seats: [Seat; 3],
    /// One for all, so that what they share is read once. It tells programs apart by path and
    /// build-id, and each checkout has a path of its own.
    symbolizer: Symbolizer,
    joiner: Joiner<'a>,
    naming: Naming,
    outputs: Outputs,
    /// Only time under this function counts.
    scope: Option<String>,
    sampled: Option<Sampled>,
    fallback: Option<Refusal>,
    /// Whether base is compared with its copy first.
    pub(crate) placebo: Placebo,
    /// All that the first runs may take together, where that is not to be exceeded; nothing once
    /// they are over.
    pub(crate) first_runs: Option<Duration>,
    started: Option<Instant>,
    /// What the runs sampled, where it is wanted.
    profiles: Option<Profiles>,
    counting: bool,
    /// Whether runs may be asked what they wait for: not where earlier pairs were not.
    may_tell_waits: bool,
}

/// One run before it is counted up.
pub(crate) struct Raw {
    outcome: Outcome,
    checkout: Checkout,
    pressure_ns: Option<u64>,
    rate_hz: u64,
}

impl<'a> Pairs<'a> {
    pub(crate) fn new(
        options: &Options,
        scratch: &'a Scratch,
        joiner: Joiner<'a>,
        seats: [(Place, Task); 3],
        layouts: [Option<Layouts>; 3],
    ) -> Pairs<'a> {
        let sampling = match options.sampling {
            options::Sampling::WherePermitted => Sampling::Events,
            options::Sampling::Off => Sampling::Off,
        };
        let limit = Limit::asked(options.timeout);
        let mut layouts = layouts.into_iter();
        Pairs {
            runner: Runner::new(sampling, limit, options.stop.clone()),
            folder: scratch.folder(),
            seats: seats.map(|(_, task)| Seat {
                task,
                layouts: layouts.next().flatten(),
                turned: None,
            }),
            symbolizer: naming::symbolizer(options.cache.as_deref()),
            scope: options.workload.scope.clone(),
            placebo: Placebo::Wanted,
            first_runs: None,
            joiner,
            naming: Naming::default(),
            outputs: Outputs::default(),
            sampled: None,
            fallback: None,
            started: None,
            profiles: match options.profiles {
                RunProfiles::Kept => Some(Profiles::default()),
                RunProfiles::Dropped => None,
            },
            counting: false,
            may_tell_waits: options
                .earlier
                .as_ref()
                .is_none_or(|earlier| earlier.shared_time == SharedTime::Wall),
        }
    }

    /// Runs everything, and fills in the comparison.
    pub(crate) fn run(
        &mut self,
        options: &Options,
        comparison: &mut Comparison,
        observer: &mut dyn Observer,
    ) -> Result<(), LabError> {
        let kernel_limit_hz = schedule::kernel_limit_hz();
        let times_itself = self.seats[0].task.harness.is_some();
        let metric = options.wanted_metric(times_itself);
        if metric == Some(Metric::WallTime) && !times_itself && self.may_tell_waits {
            self.runner.off_cpu = OffCpu::Record;
        }
        let plan = Plan {
            rate_hz: kernel_limit_hz.map_or(DEFAULT_RATE_HZ, |limit| limit.min(DEFAULT_RATE_HZ)),
            kernel_limit_hz,
            budget: options.budget,
            metric,
            times_itself,
            scope: self.scope.clone(),
            gain_bytes: options.policy.gain_bytes,
            placebo: self.placebo,
            samples: options.sampling == options::Sampling::WherePermitted,
            layouts: options.layouts,
        };
        // What was measured before a failure is worth keeping, so it is completed all the same.
        let alone = options.counting.is_some_and(|counting| counting.alone);
        let mut ran = if alone {
            check_earlier(options, comparison)
        } else {
            let mut warmed_up = |pairs: &Self,
                                 fixed: &Fixed,
                                 comparison: &mut Comparison,
                                 observer: &mut dyn Observer| {
                tell_machine(pairs, fixed, comparison, observer);
                check_earlier(options, comparison)
            };
            schedule::run(self, plan, comparison, observer, &mut warmed_up)
        };
        if let (Some(counting), Ok(())) = (options.counting, &ran) {
            ran = self.count(options, counting, comparison, observer);
        }
        comparison.output = self.outputs.check();
        for text in self.unwritten(options) {
            observer.event(&Event::Notice(&text));
            comparison.warnings.push(text);
        }
        if let Some(profiles) = self.profiles.take() {
            profiles.hand_over(observer);
        }
        self.naming.keep(&mut self.symbolizer);
        for warning in std::mem::take(&mut self.naming).into_warnings() {
            observer.event(&Event::Notice(&warning));
            comparison.warnings.push(warning);
        }
        comparison.functions = self.joiner.functions();
        drop_unseen(comparison);
        ran
    }

    /// Files that were to be compared and that no side has written.
    fn unwritten(&self, options: &Options) -> Vec<String> {
        let names = options.workload.outputs.iter().enumerate();
        names
            .filter(|&(file, _)| self.outputs.is_unwritten(file))
            .map(|(_, name)| {
                format!(
                    "{} was to be compared, and neither base nor head wrote it",
                    name.display()
                )
            })
            .collect()
    }

    /// Counts the instructions of one run of each ref. Beside pairs, a failure is told and takes
    /// nothing from them.
    fn count(
        &mut self,
        options: &Options,
        counting: Counting,
        comparison: &mut Comparison,
        observer: &mut dyn Observer,
    ) -> Result<(), LabError> {
        match self.counts(options, counting, observer) {
            Ok(witness) => {
                if let Some(scope) = &options.workload.scope {
                    let text = format!(
                        "instructions are those under {scope}; of functions that other code calls too, the part that the cost of the calls stands for"
                    );
                    observer.event(&Event::Notice(&text));
                    comparison.warnings.push(text);
                }
                comparison.witness = Some(witness);
                Ok(())
            }
            Err(error) if counting.alone || matches!(error, LabError::Interrupted) => Err(error),
            Err(error) => {
                let text = format!("instructions could not be counted: {error}");
                observer.event(&Event::Notice(&text));
                comparison.warnings.push(text);
                Ok(())
            }
        }
    }

    fn counts(
        &mut self,
        options: &Options,
        counting: Counting,
        observer: &mut dyn Observer,
    ) -> Result<Witness, LabError> {
        if let Some(harness) = self.seats[0].task.harness {
            return Err(LabError::UncountableHarness {
                harness: harness.name(),
            });
        }
        let valgrind = Valgrind::find()?;
        let limit = Limit::asked(options.timeout);
        let mut runner = Runner::new(Sampling::Off, limit, options.stop.clone());
        let mut both = Vec::new();
        for (checkout, side) in [(Checkout::Base, Side::Base), (Checkout::Head, Side::Head)] {
            observer.event(&Event::Counting { checkout });
            let [base, head, _] = &self.seats;
            let seat = match side {
                Side::Base => base,
                Side::Head => head,
            };
            let mut counted = Counted {
                task: &seat.task,
                side,
                symbolizer: &mut self.symbolizer,
                scope: self.scope.as_deref(),
            };
            let (joiner, naming) = (&mut self.joiner, &mut self.naming);
            let (count, outcome) = callgrind::count(
                &valgrind,
                &counting,
                &mut runner,
                &mut counted,
                joiner,
                naming,
            )?;
            if counting.alone {
                self.outputs.see(side, outcome.output);
                self.outputs.see_files(&outcome.written);
            }
            both.push(count);
        }
        let mut both = both.into_iter();
        Ok(Witness {
            engine: valgrind.engine,
            alone: counting.alone,
            base: both.next().unwrap_or_default(),
            head: both.next().unwrap_or_default(),
        })
    }

    /// Runs a task within the time that is left for the first runs.
    fn run_once(&mut self, task: &Task, rate_hz: u64) -> Result<Outcome, LabError> {
        let limit = self.runner.limit;
        if let Some(budget) = self.first_runs {
            self.runner.limit = limit.within(budget.saturating_sub(self.elapsed()));
        }
        let outcome = self.runner.run(task, rate_hz, self.folder);
        self.runner.limit = limit;
        outcome
    }

    fn seat(&mut self, checkout: Checkout) -> &mut Seat {
        let [base, head, copy] = &mut self.seats;
        match checkout {
            Checkout::Base => base,
            Checkout::Head => head,
            Checkout::Copy => copy,
        }
    }
}

/// That what is measured now can be added to what was measured earlier.
fn check_earlier(options: &Options, comparison: &Comparison) -> Result<(), LabError> {
    match &options.earlier {
        Some(earlier) if earlier.shared_time != comparison.shared_time => Err(resume::other_time()),
        Some(earlier) => resume::check_sampling(&earlier.machine, &comparison.machine),
        None => Ok(()),
    }
}

/// What the warm-up pair shows of the machine.
fn tell_machine(
    pairs: &Pairs<'_>,
    fixed: &Fixed,
    comparison: &mut Comparison,
    observer: &mut dyn Observer,
) {
    comparison.shared_time = match pairs.runner.off_cpu {
        OffCpu::Record => SharedTime::Wall,
        OffCpu::Leave => SharedTime::Cpu,
    };
    let machine = &mut comparison.machine;
    match &pairs.sampled {
        Some(Sampled::Yes {
            event,
            rung,
            rate_hz,
        }) => {
            machine.event = Some(event.clone());
            machine.rate_hz = Some(match rung {
                // Threads are stopped at a rate of their own.
                Rung::Stops => *rate_hz,
                Rung::KernelAndUser | Rung::UserOnly => fixed.rate_hz,
            });
            machine.rung = rung.description().to_owned();
        }
        Some(Sampled::No(refusal)) => {
            machine.rung = "no sampling".to_owned();
            machine.refusal = Some(refusal.to_string());
        }
        Some(Sampled::Off) | None => {
            machine.rung = "no sampling".to_owned();
            machine.refusal = Some("sampling was switched off".to_owned());
        }
    }
    observer.event(&Event::Machine(machine));
    if let Some(refusal) = &pairs.fallback {
        let warning = format!(
            "No perf events: {refusal}. Instead, running threads were stopped for a moment by \
             ptrace; the stops are a part of what was measured, on both sides."
        );
        observer.event(&Event::Notice(&warning));
        comparison.warnings.push(warning);
    }
}

impl Workload for Pairs<'_> {
    type Raw = Raw;

    fn execute(&mut self, checkout: Checkout, layout: u32, rate_hz: u64) -> Result<Raw, LabError> {
        self.started.get_or_insert_with(Instant::now);
        let seat = self.seat(checkout);
        seat.turn(layout)?;
        let task = seat.task.clone();
        let mut before = facts::cpu_pressure_ns();
        let mut outcome = self.run_once(&task, rate_hz)?;
        if self.sampled.is_none()
            && self.runner.off_cpu == OffCpu::Record
            && !knows_waits(&outcome.recording.sampled)
        {
            self.runner.off_cpu = OffCpu::Leave;
            before = facts::cpu_pressure_ns();
            outcome = self.run_once(&task, rate_hz)?;
        }
        let pressure_ns = before
            .zip(facts::cpu_pressure_ns())
            .map(|(before, after)| after.saturating_sub(before));
        let side = match checkout {
            Checkout::Head => Side::Head,
            Checkout::Base | Checkout::Copy => Side::Base,
        };
        self.outputs.see(side, outcome.output);
        self.outputs.see_files(&outcome.written);
        if self.sampled.is_none() {
            self.sampled = Some(outcome.recording.sampled.clone());
            self.fallback.clone_from(&outcome.recording.fallback);
        }
        Ok(Raw {
            outcome,
            checkout,
            pressure_ns,
            rate_hz,
        })
    }

    fn metrics<'b>(&self, raw: &'b Raw) -> &'b Metrics {
        &raw.outcome.metrics
    }

    fn tally(&mut self, side: Side, raw: Raw) -> Run {
        let Outcome {
            mut metrics,
            recording,
            mut profile,
            held,
            ..
        } = raw.outcome;
        let tally = matches!(recording.sampled, Sampled::Yes { .. }).then(|| {
            let task = &self.seat(raw.checkout).task;
            let worktree = task.worktree.clone();
            let harness = task.harness;
            self.symbolizer.hold(held);
            let symbolizer = &mut self.symbolizer;
            self.naming.name(&worktree, &mut profile, symbolizer);
            profile = match harness {
                Some(harness) => without_upkeep(harness, profile),
                None => profile,
            };
            if let Some(scope) = &self.scope {
                let (under, time_ns) = scoped(scope, profile, metrics.cpu_ns);
                profile = under;
                // What a harness reports is of one iteration already; its process runs for a
                // fixed time, so that time under a function says nothing of speed.
                if harness.is_none()
                    && let Some(time_ns) = time_ns
                {
                    metrics.reported = vec![ReportedTime {
                        name: scope.clone(),
                        time_ns,
                    }];
                }
            }
            let elapsed = Elapsed {
                wall_ns: metrics.wall_ns,
                tick_ns: 1_000_000_000 / raw.rate_hz.max(1),
            };
            let counted = match self.joiner.tally_elapsed(side, &profile, elapsed) {
                Some(tally) => {
                    profile = with_weight(profile, ELAPSED);
                    tally
                }
                None => {
                    let stands_for_time = matches!(
                        recording.sampled,
                        Sampled::Yes {
                            rung: Rung::Stops,
                            ..
                        }
                    );
                    let weighted = stands_for_time
                        .then(|| self.joiner.tally_weighted(side, &profile, CPU))
                        .flatten();
                    weighted.unwrap_or_else(|| self.joiner.tally(side, &profile))
                }
            };
            if let (true, Some(profiles)) = (self.counting, &mut self.profiles) {
                profiles.add(side, profile);
            }
            Tally {
                lost: recording.lost.samples,
                ..counted
            }
        });
        Run {
            metrics,
            tally,
            layout: 0,
        }
    }

    fn functions(&self) -> Vec<Function> {
        self.joiner.functions()
    }

    fn count_from_here(&mut self) {
        self.counting = true;
    }

    fn tell_waits(&mut self) -> bool {
        let is_new = self.runner.off_cpu == OffCpu::Leave;
        let may = self.may_tell_waits && self.sampled.as_ref().is_some_and(knows_waits);
        if may {
            self.runner.off_cpu = OffCpu::Record;
        }
        may && is_new
    }

    fn blocked(&self, raw: &Raw) -> Duration {
        let outcome = &raw.outcome;
        let is_one = match outcome.recording.sampled {
            Sampled::Yes { .. } => count_threads(&outcome.profile) == 1,
            Sampled::Off | Sampled::No(_) => outcome.recording.counts.one_thread,
        };
        let threads = if is_one {
            Threads::One
        } else {
            Threads::OneOrMore
        };
        schedule::blocked(&outcome.metrics, threads, raw.pressure_ns)
    }

    fn limit(&mut self, longest: Duration) {
        self.first_runs = None;
        self.runner.limit = self.runner.limit.after_warm_up(longest);
    }

    fn elapsed(&self) -> Duration {
        self.started
            .map_or(Duration::ZERO, |started| started.elapsed())
    }
}

/// Whether stacks of waits are to be had: where switches may not be sampled, they would be those of
/// other moments, which say nothing of what was waited for.
fn knows_waits(sampled: &Sampled) -> bool {
    matches!(
        sampled,
        Sampled::Yes {
            rung: Rung::KernelAndUser,
            ..
        }
    )
}

/// The profile with one of its weights alone.
fn with_weight(profile: Profile, name: &str) -> Profile {
    let transform = Transform {
        weight: Some(name),
        ..Transform::default()
    };
    match transform.apply(profile) {
        Ok(profile) => profile,
        Err(error) => unreachable!("the weight was just read: {error}"),
    }
}

/// The samples under a function, and the share of the run's CPU time, in nanoseconds, that they
/// stand for; `None` when there are none.
fn scoped(scope: &str, profile: Profile, cpu_ns: u64) -> (Profile, Option<f64>) {
    let is_it = |name: &str| naming::is_called(name, scope);
    let transform = Transform {
        focus: Some(&is_it),
        ..Transform::default()
    };
    let Some(mask) = transform.in_focus(&profile) else {
        return (profile, None);
    };
    let time_ns = cpu_ns as f64 * share(&profile, &mask);
    let is_any = mask.contains(&true);
    (keep(profile, &mask, "scope"), is_any.then_some(time_ns))
}

/// The share of some samples in all, by the CPU time that they stand for where that is known.
fn share(profile: &Profile, mask: &[bool]) -> f64 {
    let column = profile.weights.iter().position(|row| row.name == CPU);
    let weight = |row: usize| match column {
        Some(column) => profile.samples.weights[column][row].max(0) as f64,
        None => 1.0,
    };
    let all: f64 = (0..mask.len()).map(weight).sum();
    let inside = (0..mask.len()).filter(|&row| mask[row]);
    inside.map(weight).sum::<f64>() / all.max(1.0)
}

/// The samples that are none of the harness's own upkeep, which no iteration's time holds.
fn without_upkeep(harness: Harness, profile: Profile) -> Profile {
    let is_upkeep = |name: &str| harness.is_upkeep(name);
    let transform = Transform {
        focus: Some(&is_upkeep),
        ..Transform::default()
    };
    match transform.in_focus(&profile) {
        Some(mask) => {
            let others: Vec<bool> = mask.iter().map(|upkeep| !upkeep).collect();
            keep(profile, &others, "harness")
        }
        None => profile,
    }
}

/// Threads that were seen, each once however often it replaced its program.
fn count_threads(profile: &Profile) -> usize {
    let threads = profile.threads.ids().map(|id| profile.threads[id].tid);
    threads.collect::<BTreeSet<u32>>().len()
}

/// Drops rows that no counted run saw and no diff touched, and moves the others up.
fn drop_unseen(comparison: &mut Comparison) {
    let mut seen = vec![false; comparison.functions.len()];
    let runs = comparison.placebo.iter_mut().chain(&mut comparison.pairs);
    let runs = runs.flat_map(|pair| [&mut pair.base, &mut pair.head]);
    let mut tallies: Vec<&mut Tally> = runs
        .chain(&mut comparison.base_runs)
        .filter_map(|run| run.tally.as_mut())
        .collect();
    for entry in tallies.iter().flat_map(|tally| &tally.functions) {
        seen[entry.function] = true;
    }
    let mut counts: Vec<&mut InstructionCount> = comparison
        .witness
        .iter_mut()
        .flat_map(|witness| [&mut witness.base, &mut witness.head])
        .collect();
    for entry in counts.iter().flat_map(|count| &count.functions) {
        seen[entry.function] = true;
    }
    let mut kept: Vec<Function> = Vec::new();
    let mut moved = Vec::with_capacity(seen.len());
    for (function, seen) in comparison.functions.drain(..).zip(seen) {
        moved.push(kept.len());
        if seen || function.change.is_some() {
            kept.push(function);
        }
    }
    for tally in &mut tallies {
        for entry in &mut tally.functions {
            entry.function = moved[entry.function];
        }
    }
    for count in &mut counts {
        for entry in &mut count.functions {
            entry.function = moved[entry.function];
        }
        for line in &mut count.lines {
            line.function = moved[line.function];
        }
    }
    comparison.functions = kept;
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotproof_profile::{Unit, Weight};

    /// Where threads are stopped for samples, one after a long system call stands for more time.
    #[test]
    fn the_time_under_a_function_is_that_of_its_samples() {
        let weight = |name: &str, unit| Weight {
            name: name.to_owned(),
            unit,
        };
        let mut profile = Profile {
            weights: vec![weight("samples", Unit::Count)],
            ..Profile::default()
        };
        profile.samples.weights = vec![vec![1; 4], vec![10, 10, 10, 90]];
        let under = [false, true, false, true];
        assert!((share(&profile, &under) - 0.5).abs() < 1e-9);
        profile.weights.push(weight(CPU, Unit::Nanoseconds));
        assert!((share(&profile, &under) - 100.0 / 120.0).abs() < 1e-9);
    }
}
