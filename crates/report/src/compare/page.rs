//! What a comparison shows, before it becomes a screen or Markdown.

use hotproof_diff::{Comparison, Conclusion, Verdict};

use super::{Options, facts, tables};

/// How a verdict is to be taken; decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Caution,
}

/// What kind of cells a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Words and places, cut in the middle down to this many columns.
    Name(usize),
    /// Names of functions, cut like places.
    Function(usize),
    /// Figures, never cut.
    Figure,
}

/// One column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heading {
    pub(super) text: &'static str,
    pub(super) kind: Kind,
    /// When it is left out on a narrow screen: the highest first; `None`: never.
    pub(super) gives_way: Option<u8>,
}

impl Heading {
    pub(super) const fn name(text: &'static str, least: usize) -> Self {
        Heading {
            text,
            kind: Kind::Name(least),
            gives_way: None,
        }
    }

    pub(super) const fn function(text: &'static str, least: usize) -> Self {
        Heading {
            text,
            kind: Kind::Function(least),
            gives_way: None,
        }
    }

    pub(super) const fn figure(text: &'static str) -> Self {
        Heading {
            text,
            kind: Kind::Figure,
            gives_way: None,
        }
    }

    pub(super) const fn optional(mut self, rank: u8) -> Self {
        self.gives_way = Some(rank);
        self
    }
}

/// One table. The first heading is the table's title.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) headings: Vec<Heading>,
    pub(super) rows: Vec<Row>,
    /// What has to be said under it, one sentence each.
    pub(super) notes: Vec<String>,
}

/// One row of a table.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) cells: Vec<String>,
    pub(super) weight: Weight,
}

/// How much a row matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Strong,
    Plain,
    Faint,
    /// The sum of what has no row of its own.
    Others,
}

/// A labelled sentence.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub(super) label: &'static str,
    pub(super) text: String,
    pub(super) alarming: bool,
}

/// The whole.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) verdict: &'static str,
    pub(super) tone: Tone,
    pub(super) reason: String,
    pub(super) tables: Vec<Table>,
    pub(super) facts: Vec<Fact>,
}

impl Page {
    pub(super) fn of(
        comparison: &Comparison,
        conclusion: &Conclusion,
        options: &Options<'_>,
    ) -> Self {
        Page {
            verdict: conclusion.verdict.label(),
            tone: tone(conclusion.verdict),
            reason: conclusion.reason.clone(),
            tables: tables::all(comparison, conclusion, options),
            facts: facts::all(comparison, conclusion, options),
        }
    }
}

fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Keep
        | Verdict::KeepUnattributed
        | Verdict::KeepUnexplained
        | Verdict::KeepMicroOnly => Tone::Good,
        Verdict::Regression => Tone::Bad,
        // Instructions are no time, so that even fewer of them are taken with caution.
        Verdict::FewerInstructions | Verdict::MoreInstructions | Verdict::SameInstructions => {
            Tone::Caution
        }
        Verdict::Discard | Verdict::Inconclusive | Verdict::NotOnHotPath | Verdict::Refused => {
            Tone::Caution
        }
    }
}
