//! A corpus of synthetic commits with known answers: each edit in each kind of place.

use std::collections::BTreeSet;

use hotproof_diff::Change;
use hotproof_diff::changes::{Changed, Place};

use crate::commit::changes_of_edit;
use crate::settings::{SETTINGS, Setting};

/// The function in its parts.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) comment: String,
    pub(crate) attribute: String,
    pub(crate) name: String,
    pub(crate) signature: String,
    pub(crate) body: Vec<String>,
}

impl Setting {
    pub(crate) fn target(&self) -> Target {
        Target {
            comment: self.style.documentation[0].into(),
            attribute: String::new(),
            name: "total".into(),
            signature: self.signature.unwrap_or(self.style.signature).into(),
            body: self.style.body.iter().map(|&line| line.into()).collect(),
        }
    }

    fn attributes(&self) -> [&'static str; 2] {
        self.attributes.unwrap_or(self.style.attributes)
    }

    /// The function alone, not indented.
    pub(crate) fn render(&self, target: &Target) -> String {
        let signature = target.signature.replace('@', &target.name);
        let (signature, attribute) = match signature.contains('§') {
            true => (signature.replace('§', &target.attribute), ""),
            false => (signature, &*target.attribute),
        };
        let comment = &target.comment;
        let body = target.body.join("\n");
        let modifiers = self.modifiers;
        let open = match self.style.open {
            "" => String::new(),
            // Go wants its brace on the line of the signature.
            open if self.style.extension == "go" => format!(" {open}"),
            open => format!("\n{open}"),
        };
        let close = self.style.close;
        format!("{comment}{attribute}{modifiers}{signature}{open}\n{body}\n{close}\n")
    }

    /// The whole file, with neighbours that stay as they are.
    pub(crate) fn file(&self, inner: &str) -> String {
        let before = self.before.replace('@', "total");
        let after = self.after.replace('@', "total");
        let [first, last] = self
            .neighbours
            .unwrap_or([self.style.first, self.style.last]);
        let indent = " ".repeat(self.indent);
        let text: String = format!("{first}{inner}{last}")
            .lines()
            .map(|line| match line.trim() {
                "" => format!("{line}\n"),
                _ => format!("{indent}{line}\n"),
            })
            .collect();
        format!("{before}{text}{after}")
    }
}

/// What a commit does to the function.
#[derive(Clone, Copy)]
pub(crate) enum Expected {
    Nothing,
    Modified,
    Renamed(&'static str),
    Added,
    Removed,
}

pub(crate) struct Edit {
    pub(crate) name: &'static str,
    pub(crate) expected: Expected,
    /// Base and head of what stands between the neighbours.
    pub(crate) apply: fn(&Setting, Target) -> (String, String),
}

fn modify(setting: &Setting, base: Target, change: impl Fn(&mut Target)) -> (String, String) {
    let text = setting.render(&base);
    let mut head = base;
    change(&mut head);
    (text, setting.render(&head))
}

pub(crate) const EDITS: &[Edit] = &[
    Edit {
        name: "body",
        expected: Expected::Modified,
        apply: |s, t| modify(s, t, |t| t.body[2] = t.body[2].replace("+=", "^=")),
    },
    Edit {
        name: "one number",
        expected: Expected::Modified,
        apply: |s, t| {
            let digit = |line: &mut String| *line = line.replace('3', "4");
            modify(s, t, |t| t.body.iter_mut().for_each(digit))
        },
    },
    Edit {
        name: "last line of the body",
        expected: Expected::Modified,
        apply: |s, t| {
            modify(s, t, |t| {
                let last = t.body.last_mut().expect("a body");
                *last = last.replace("sum", "limit + sum");
            })
        },
    },
    Edit {
        name: "deleted lines",
        expected: Expected::Modified,
        apply: |s, t| {
            modify(s, t, |t| {
                t.body.drain(1..4);
            })
        },
    },
    Edit {
        name: "inserted line",
        expected: Expected::Modified,
        apply: |s, t| modify(s, t, |t| t.body.insert(1, s.style.inserted.into())),
    },
    Edit {
        name: "body and a comment above",
        expected: Expected::Modified,
        apply: |s, t| {
            modify(s, t, |t| {
                t.comment = s.style.documentation[1].into();
                t.body[2] = t.body[2].replace("% limit", "/ limit");
            })
        },
    },
    Edit {
        name: "signature",
        expected: Expected::Modified,
        apply: |s, t| modify(s, t, |t| t.signature = t.signature.replace("limit", "most")),
    },
    Edit {
        name: "one more parameter",
        expected: Expected::Modified,
        apply: |s, t| {
            let (from, to) = s.style.parameter;
            modify(s, t, |t| t.signature = t.signature.replacen(from, to, 1))
        },
    },
    Edit {
        name: "attribute",
        expected: Expected::Modified,
        apply: |s, t| modify(s, t, |t| t.attribute = s.attributes()[0].into()),
    },
    Edit {
        name: "attribute taken away",
        expected: Expected::Modified,
        apply: |s, mut t| {
            t.attribute = s.attributes()[1].into();
            modify(s, t, |t| t.attribute.clear())
        },
    },
    Edit {
        name: "type parameter or qualifier",
        expected: Expected::Modified,
        apply: |s, t| {
            let (from, to) = s.qualifier.unwrap_or(s.style.qualifier);
            modify(s, t, |t| t.signature = t.signature.replace(from, to))
        },
    },
    Edit {
        name: "closure or inner block",
        expected: Expected::Modified,
        apply: |s, t| {
            modify(s, t, |t| {
                t.body[7] = t.body[7]
                    .replace("part * 3", "part << 3")
                    .replace("+ 1", "+ 2");
            })
        },
    },
    Edit {
        name: "everything rewritten",
        expected: Expected::Modified,
        apply: |s, t| modify(s, t, |t| t.body = vec![s.style.rewritten.into()]),
    },
    Edit {
        name: "rename",
        expected: Expected::Renamed("grand_sum"),
        apply: |s, t| modify(s, t, |t| t.name = "grand_sum".into()),
    },
    Edit {
        name: "rename with an edit",
        expected: Expected::Renamed("grand_sum"),
        apply: |s, t| {
            modify(s, t, |t| {
                t.name = "grand_sum".into();
                t.body[2] = t.body[2].replace("+=", "^=");
            })
        },
    },
    Edit {
        name: "removed",
        expected: Expected::Removed,
        apply: |s, t| (s.render(&t), String::new()),
    },
    Edit {
        name: "added",
        expected: Expected::Added,
        apply: |s, t| (String::new(), s.render(&t)),
    },
    Edit {
        name: "comment in the body",
        expected: Expected::Nothing,
        apply: |s, t| {
            let edit = |line: &mut String| *line = line.replace("The scale.", "By three.");
            modify(s, t, |t| t.body.iter_mut().for_each(edit))
        },
    },
    Edit {
        name: "more comments",
        expected: Expected::Nothing,
        apply: |s, t| {
            modify(s, t, |t| {
                t.body.insert(3, s.style.note.into());
                t.body.insert(1, s.style.long_note.into());
            })
        },
    },
    Edit {
        name: "documentation",
        expected: Expected::Nothing,
        apply: |s, t| modify(s, t, |t| t.comment = s.style.documentation[2].into()),
    },
    Edit {
        name: "blank lines",
        expected: Expected::Nothing,
        apply: |s, t| {
            modify(s, t, |t| {
                t.body.push(String::new());
                t.body.insert(2, "\n   ".into());
                t.comment.insert(0, '\n');
            })
        },
    },
    Edit {
        name: "indentation",
        expected: Expected::Nothing,
        apply: |s, t| {
            let indent = |line: &mut String| line.insert_str(0, "  \t");
            modify(s, t, |t| t.body.iter_mut().for_each(indent))
        },
    },
    Edit {
        name: "formatting",
        expected: Expected::Nothing,
        apply: |s, t| {
            let base = s.render(&t);
            let close = format!("{}\n)", s.style.comma);
            let signature = t.signature.replace('(', "(\n    ").replace(')', &close);
            let mut head = Target { signature, ..t };
            head.body.retain(|line| !line.contains("The scale"));
            for line in &mut head.body {
                *line = line.replace(" + ", "+").replace(" % ", "  %  ");
            }
            if s.style.joins {
                head.body = vec![head.body.join(" ")];
            }
            (base, s.render(&head))
        },
    },
    Edit {
        name: "moved behind a new neighbour",
        expected: Expected::Nothing,
        apply: |s, t| {
            let text = s.render(&t);
            let twin = s.twin.unwrap_or(s.style.twin);
            (format!("{text}\n{twin}"), format!("{twin}\n{text}"))
        },
    },
];

pub(crate) type Answer = BTreeSet<(Option<String>, Option<String>, String)>;

pub(crate) fn expected_answer(setting: &Setting, edit: &Edit) -> Answer {
    let old = || Some(setting.qualified("total"));
    let entry = match edit.expected {
        Expected::Nothing => return Answer::new(),
        Expected::Modified => (old(), old(), Change::Modified),
        Expected::Renamed(new) => (old(), Some(setting.qualified(new)), Change::Modified),
        Expected::Added => (None, old(), Change::Added),
        Expected::Removed => (old(), None, Change::Removed),
    };
    Answer::from([(entry.0, entry.1, format!("{:?}", entry.2))])
}

/// The functions that were found, by their names at both refs.
pub(crate) fn answer(changed: &Changed) -> Answer {
    let rows = changed.functions.iter();
    rows.map(|f| {
        let name = |place: &Option<Place>| place.as_ref().map(|place| place.name.clone());
        (name(&f.base), name(&f.head), format!("{:?}", f.change))
    })
    .collect()
}

/// Every edit in every setting: all changed functions are found, and nothing else is named. The
/// goal is 99 % found with 2 % false; here none is missed, and one is false, which is named below.
#[test]
fn each_edit_in_each_setting_is_told_apart() {
    let (mut cases, mut expected, mut missed, mut false_ones) = (0, 0, Vec::new(), Vec::new());
    for setting in SETTINGS {
        for edit in EDITS {
            let (base, head) = (edit.apply)(setting, setting.target());
            let (base, head) = (setting.file(&base), setting.file(&head));
            let changed = changes_of_edit(&setting.path(), &base, &head);
            let found = answer(&changed);
            let truth = expected_answer(setting, edit);
            cases += 1;
            expected += truth.len();
            let case = format!("{} / {}", setting.name, edit.name);
            missed.extend(truth.difference(&found).map(|f| format!("{case}: {f:?}")));
            false_ones.extend(found.difference(&truth).map(|f| format!("{case}: {f:?}")));
            if truth.is_empty() && (changed.code_changed || !changed.outside.is_empty()) {
                false_ones.push(format!(
                    "{case}: code changed outside: {:?}",
                    changed.outside
                ));
            }
        }
    }
    assert!(cases >= 1_200 && expected >= 900, "{cases}, {expected}");
    assert!(
        missed.is_empty(),
        "missed {} of {expected}: {missed:#?}",
        missed.len()
    );
    // A comma more among the tokens of a macro call is code: the macro decides what it means.
    let known = "in a macro call / formatting:";
    false_ones.retain(|case| !case.starts_with(known));
    assert!(
        false_ones.is_empty(),
        "false in {} of {cases}: {false_ones:#?}",
        false_ones.len()
    );
}
