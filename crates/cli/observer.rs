//! What a person sees while a comparison runs.

use hotproof_diff::{Ceiling, Estimate, Function, Machine, OutsideChange, RefFacts, Side};
use hotproof_lab::{Event, Observer};

use crate::output::Voice;
use crate::progress::Ticker;
use crate::record::clock;

/// Lasting lines for what is known, one moving line for what goes on; all on standard error.
pub(crate) struct Screen {
    ticker: Ticker,
    voice: Voice,
}

impl Screen {
    pub(crate) fn new(voice: Voice) -> Screen {
        let ticker = Ticker::new(voice);
        ticker.keep_alive();
        Screen { ticker, voice }
    }

    /// Takes the moving line away.
    pub(crate) fn finish(&self) {
        self.ticker.finish();
    }

    fn line(&self, text: &str) {
        if self.voice == Voice::Normal {
            self.ticker.print(text);
        }
    }
}

impl Observer for Screen {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Resolved { side, facts } => self.line(&resolved(*side, facts)),
            Event::BuildStarted { checkout, command } => {
                self.ticker
                    .say(|| format!("{}  building: {command}", checkout.name()));
            }
            Event::BuildFinished { checkout, seconds } => {
                self.line(&format!("  {:<8} built in {seconds:.1} s", checkout.name()));
            }
            Event::BuildKept { checkout } => {
                self.line(&format!("  {:<8} built before", checkout.name()));
            }
            Event::Testing { command } => self.ticker.say(|| format!("tests    {command}")),
            Event::Changed {
                functions,
                outside,
                code_changed,
            } => {
                self.line(&changed(functions, outside, *code_changed));
            }
            Event::Ceiling { functions, ceiling } => self.line(&ceiling_lines(functions, ceiling)),
            Event::Notice(text) => self.line(&format!("  note     {text}")),
            Event::Machine(machine) => self.line(&machine_line(machine)),
            Event::Placebo { done, of, elapsed } => self.ticker.say(|| {
                format!(
                    "noise    {done} of {of} pairs of base with itself   {}",
                    clock(*elapsed)
                )
            }),
            Event::Pair {
                done,
                at_most,
                elapsed,
                interim,
            } => self.ticker.say(|| {
                let now = interim.map_or(String::new(), |estimate| interim_text(&estimate));
                format!(
                    "pairs    {done} of at most {at_most}   {}   {now}",
                    clock(*elapsed)
                )
            }),
            Event::Counting { checkout } => self.ticker.say(|| {
                format!(
                    "counting the instructions of {}, some fifty times slower than a run",
                    checkout.name()
                )
            }),
            Event::Run {
                done,
                at_most,
                elapsed,
            } => self
                .ticker
                .say(|| format!("runs     {done} of at most {at_most}   {}", clock(*elapsed))),
            _ => {}
        }
    }
}

fn resolved(side: Side, facts: &RefFacts) -> String {
    let side = match side {
        Side::Base => "base",
        Side::Head => "head",
    };
    let commit: String = facts.commit.chars().take(7).collect();
    // A command of `ab` stands for both, and has no commit outside of a checkout.
    let text = if facts.name == facts.subject {
        facts.name.clone()
    } else {
        format!("{}: {}", facts.name, facts.subject)
    };
    format!("  {side:<8} {commit}  {text}")
}

fn changed(functions: &[Function], outside: &[OutsideChange], code_changed: bool) -> String {
    if !code_changed {
        return "  changed  no code: comments, white space and documentation alone, if anything"
            .to_owned();
    }
    let mut parts = Vec::new();
    let names: Vec<&str> = functions
        .iter()
        .map(|function| function.name.as_str())
        .collect();
    match names.len() {
        0 => parts.push("no function by line".to_owned()),
        1 => parts.push(names[0].to_owned()),
        n if n <= 4 => parts.push(format!("{n} functions: {}", names.join(", "))),
        n => parts.push(format!("{n} functions: {}, ...", names[..4].join(", "))),
    }
    if !outside.is_empty() {
        let places = if outside.len() == 1 {
            "place"
        } else {
            "places"
        };
        parts.push(format!("{} {places} outside functions", outside.len()));
    }
    format!("  changed  {}", parts.join(", "))
}

/// Functions whose shares are told one by one.
const NAMED: usize = 4;

/// Which changed functions are hot, and the most that can be won in them.
fn ceiling_lines(functions: &[Function], ceiling: &Ceiling) -> String {
    let share = |share: f64| format!("{:.1} %", share * 100.0);
    let named = ceiling.functions.iter().take(NAMED).map(|it| {
        let name = &functions[it.row].name;
        format!("{name} {}", share(it.share.value))
    });
    let mut names: Vec<String> = named.collect();
    if ceiling.functions.len() > NAMED {
        names.push("...".to_owned());
    }
    let hot = match (ceiling.hot(), ceiling.functions.len()) {
        (hot, 1) => ["not known to be, ", ""][hot.min(1)].to_owned(),
        (hot, all) => format!("{hot} of {all} changed functions: "),
    };
    let interval = format!(
        "99 % interval {:.1} to {:.1}",
        ceiling.share.low * 100.0,
        ceiling.share.high * 100.0
    );
    let seen = share(ceiling.share.value);
    let most = match ceiling.is_hidden() {
        true => format!(
            "unknown, up to {} ({seen} seen, {interval}; the rest could not be joined to the diff)",
            share(ceiling.most())
        ),
        false => format!("{seen} ({interval})"),
    };
    format!(
        "  hot      {hot}{}\n           most that can be won here: {most}",
        of_base(&names, ceiling.added)
    )
}

/// Shares of base, and how many functions base does not have.
fn of_base(names: &[String], added: usize) -> String {
    let names = names.join(", ");
    match added {
        0 => format!("{names} of base"),
        some => format!("{names} of base; {some} at head alone"),
    }
}

fn machine_line(machine: &Machine) -> String {
    let sampled = match (&machine.event, machine.rate_hz) {
        (Some(event), Some(rate)) => format!("{event} at {rate} Hz"),
        (Some(event), None) => event.clone(),
        (None, _) => "no sampling".to_owned(),
    };
    format!(
        "  machine  {sampled}, load {:.1} on {} CPUs",
        machine.load, machine.cpus
    )
}

/// An estimate of ln(head / base) in words: `now 4.9 % faster [4.3, 5.5]`.
fn interim_text(estimate: &Estimate) -> String {
    let percent = |log_ratio: f64| -(log_ratio.exp() - 1.0) * 100.0;
    let gain = percent(estimate.value);
    let (word, sign) = if gain >= 0.0 {
        ("faster", 1.0)
    } else {
        ("slower", -1.0)
    };
    let ends = [sign * percent(estimate.high), sign * percent(estimate.low)];
    let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
    format!("now {:.1} % {word} [{low:.1}, {high:.1}]", gain.abs())
}

#[cfg(test)]
mod tests {
    use super::of_base;

    /// It said `11 at head alone of base`.
    #[test]
    fn shares_are_of_base_and_functions_of_head_alone_have_none() {
        let names = ["f 3.0 %".to_owned(), "...".to_owned()];
        assert_eq!(of_base(&names, 0), "f 3.0 %, ... of base");
        assert_eq!(
            of_base(&names, 11),
            "f 3.0 %, ... of base; 11 at head alone"
        );
    }
}
