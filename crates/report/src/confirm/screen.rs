//! The answers on a terminal.

use hotproof_diff::LEAST_CAPTURED;

use super::answer::{CPU_TIME, Confirmation, Decision};
use super::interval::FEWEST_SAMPLES;
use super::matching::Candidate;
use super::{Answer, FLOOR};
use crate::grid::{Cell, Column, Grid};
use crate::names::{clean, width as columns_of};
use crate::numbers::{count, counted, fixed, percent};
use crate::prose::{flow, paragraph, styled_paragraph, wrap};
use crate::record::shell_word;
use crate::style::{BAD, CAUTION, FAINT, GOOD, paint};

/// One answer in at most `width` columns.
pub fn screen(answer: &Answer, width: usize) -> String {
    match answer {
        Answer::Confirmed(confirmation) => confirmed(confirmation, width),
        Answer::NotFound {
            pattern,
            nearest,
            samples,
            hidden,
        } => {
            let mut out = not_found(pattern, nearest, *samples, width);
            if let Some(hidden) = hidden {
                out.push_str(&paragraph("", 2, hidden, width));
            }
            out
        }
        Answer::Ambiguous {
            pattern,
            candidates,
        } => ambiguous(pattern, candidates, width),
    }
}

fn confirmed(c: &Confirmation, width: usize) -> String {
    let (word, style) = match c.decision {
        Decision::Yes => ("YES", GOOD),
        Decision::No => ("NO", BAD),
        Decision::Undecided => ("UNDECIDED", CAUTION),
    };
    let mut out = headline(word, style, &sentence(c), width);
    out.push('\n');
    out.push_str("  ");
    let shares = [
        format!("total {}", percent(c.total.value)),
        format!("self {}", percent(c.self_share)),
        format!("self with inlined library code {}", percent(c.own_share)),
    ];
    out.push_str(&flow(&shares, 2, width.saturating_sub(2)));
    out.push_str(&paragraph("", 2, &seen(c), width));
    if !c.heaviest_path.is_empty() {
        out.push_str(&heaviest_path(c, width));
    }
    // Time off the CPU is not won by quicker code.
    if c.decision != Decision::No && c.hits > 0 && c.time == CPU_TIME {
        out.push_str(&paragraph("", 2, &what_can_be_won(c), width));
    }
    out.push_str(&paragraph("", 2, &how_sure(c), width));
    for warning in &c.warnings {
        out.push_str(&styled_paragraph("  warning", CAUTION, 12, warning, width));
    }
    out
}

fn headline(word: &str, style: anstyle::Style, sentence: &str, width: usize) -> String {
    let lines = wrap(&format!("{word} {sentence}"), width.saturating_sub(1)).join("\n");
    let rest = lines
        .strip_prefix(word)
        .unwrap_or(&lines)
        .trim_start_matches(' ');
    format!("{}  {rest}\n", paint(style, word))
}

/// The sentence that can be pasted.
fn sentence(c: &Confirmation) -> String {
    let name = &c.name;
    let range = format!(
        "99 % interval {} to {}",
        fixed(c.total.low * 100.0, 1),
        fixed(c.total.high * 100.0, 1)
    );
    let interval = format!("({range})");
    let time = c.time;
    let floor = floor_text(c.floor);
    match c.decision {
        Decision::Yes => format!(
            "{name} is on the hot path: {} of {time} {interval}.",
            percent(c.total.value)
        ),
        Decision::No => format!(
            "{name} is not on the hot path: {} of {time} {interval}, below {floor}.",
            percent(c.total.value)
        ),
        Decision::Undecided if c.captured < LEAST_CAPTURED => format!(
            "only {} of the samples were captured, and below {} they do not judge {name}: {} of {time} in those that were {interval}; record with a lower rate (-F), or on a machine that is less busy.",
            percent(c.captured),
            percent(LEAST_CAPTURED),
            percent(c.total.value)
        ),
        Decision::Undecided if c.samples < FEWEST_SAMPLES => format!(
            "{} of {FEWEST_SAMPLES} that it takes: too few to judge {name} by ({} of {time} so far, {range}).",
            counted(c.samples, "sample"),
            percent(c.total.value)
        ),
        Decision::Undecided => {
            let more = match c.samples_needed {
                Some(needed) => format!("; about {} samples would decide", count(rounded(needed))),
                None => String::new(),
            };
            format!(
                "{} cannot tell whether {name} holds more than {floor} of {time}: {} {interval}{more}.",
                counted(c.samples, "sample"),
                percent(c.total.value)
            )
        }
    }
}

fn floor_text(floor: f64) -> String {
    if floor == FLOOR {
        "the floor of 1 %".to_owned()
    } else {
        format!("the floor of {} %", fixed(floor * 100.0, 2))
    }
}

/// Two digits are enough for advice.
fn rounded(value: u64) -> u64 {
    let mut step = 1;
    while value / step >= 100 {
        step *= 10;
    }
    value.div_ceil(step) * step
}

fn seen(c: &Confirmation) -> String {
    let mut text = format!(
        "seen in {} of {}",
        count(c.hits),
        counted(c.samples, "sample")
    );
    if c.runs > 1 {
        text += &format!(" of {} runs", c.runs);
    }
    if !c.place.is_empty() {
        text += &format!(", declared at {}", c.place);
    }
    let shown: Vec<String> = c
        .inlined_into
        .iter()
        .take(3)
        .map(|(name, share)| format!("{name} ({})", percent(*share)))
        .collect();
    if !shown.is_empty() {
        text += &format!(", inlined into {}", joined(&shown));
        let more = c.inlined_into.len() - shown.len();
        if more > 0 {
            text += &format!(" and {more} more");
        }
    }
    text
}

fn joined(parts: &[String]) -> String {
    match parts {
        [.., _] if parts.len() > 1 => {
            let (last, first) = parts.split_at(parts.len() - 1);
            format!("{} and {}", last.join(", "), first[0])
        }
        _ => parts.join(""),
    }
}

/// The path, its middle left out when it is long.
fn heaviest_path(c: &Confirmation, width: usize) -> String {
    let names: Vec<String> = c.heaviest_path.iter().map(|name| clean(name)).collect();
    let label = format!("heaviest path ({} of it)  ", percent(c.heaviest_path_share));
    let room = width
        .saturating_sub(2 + columns_of(&label))
        .max(24)
        .saturating_mul(2);
    let mut kept = names.len();
    let text = loop {
        let text = shortened(&names, kept);
        if columns_of(&text) <= room || kept <= 3 {
            break text;
        }
        kept -= 1;
    };
    paragraph("", 2, &format!("{label} {text}"), width)
}

/// The first and the last frames of a path, `kept` of them in all.
fn shortened(names: &[String], kept: usize) -> String {
    if kept >= names.len() {
        return names.join(" > ");
    }
    let (first, last) = (kept / 2, kept - kept / 2);
    let missing = names.len() - kept;
    format!(
        "{} > ({missing} more) > {}",
        names[..first].join(" > "),
        names[names.len() - last..].join(" > ")
    )
}

/// Amdahl's law (1967): a part that holds the share s and becomes k times as fast takes s (1 - 1/k)
/// off the whole.
fn what_can_be_won(c: &Confirmation) -> String {
    format!(
        "making it and what it calls twice as fast would take {} off the run; removing it, {}",
        percent(c.total.value / 2.0),
        percent(c.total.value)
    )
}

fn how_sure(c: &Confirmation) -> String {
    match c.runs {
        1 => "one run: how much runs differ is assumed, not measured; several runs tell: hotproof confirm FUNC -- CMD".to_owned(),
        runs => format!("interval from the differences between {runs} runs"),
    }
}

fn not_found(pattern: &str, nearest: &[String], samples: u64, width: usize) -> String {
    let sentence = format!(
        "no function named {pattern} is in any of {}: it has another name, was optimised away, or never ran for long enough to be seen.",
        counted(samples, "sample")
    );
    let mut out = headline("UNDECIDED", CAUTION, &sentence, width);
    if nearest.is_empty() {
        let hint = "nothing seen has a name like it; hotproof report lists what was seen";
        out.push_str(&paragraph("", 2, hint, width));
        return out;
    }
    out.push_str(&paragraph("", 2, "nearest:", width));
    for name in nearest {
        let name = crate::names::cut_middle(&clean(name), width.saturating_sub(4));
        out.push_str(&format!("    {name}\n"));
    }
    out
}

fn ambiguous(pattern: &str, candidates: &[Candidate], width: usize) -> String {
    let sentence = format!(
        "{pattern} means {} functions; name one of them:",
        candidates.len()
    );
    let mut out = headline("WHICH?", CAUTION, &sentence, width);
    out.push('\n');
    let mut grid = Grid::new(
        vec![
            Column::figures("samples"),
            Column::names("function", 20),
            Column::names("hotproof confirm ...", 20),
        ],
        2,
    );
    for candidate in candidates {
        grid.row(vec![
            Cell::from(count(candidate.samples)),
            Cell::from(&candidate.name),
            Cell::styled(&shell_word(&candidate.pattern), FAINT),
        ]);
    }
    out.push_str(&grid.render(width));
    out
}
