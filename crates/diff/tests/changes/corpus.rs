//! A corpus of synthetic commits with known answers: each edit in each kind of place.

use std::collections::BTreeSet;

use hotproof_diff::Change;

use crate::commit::changes_of_edit;

/// Where the function stands: what is around it, and what its name is there. `@` is the name.
struct Setting {
    name: &'static str,
    path: &'static str,
    before: &'static str,
    after: &'static str,
    /// Before the `fn` or the type.
    modifiers: &'static str,
    qualified: &'static str,
}

const fn rust(
    name: &'static str,
    modifiers: &'static str,
    before: &'static str,
    after: &'static str,
    qualified: &'static str,
) -> Setting {
    Setting {
        name,
        path: "src/a.rs",
        before,
        after,
        modifiers,
        qualified,
    }
}

const fn c(
    name: &'static str,
    modifiers: &'static str,
    before: &'static str,
    after: &'static str,
) -> Setting {
    Setting {
        name,
        path: "src/a.c",
        before,
        after,
        modifiers,
        qualified: "@",
    }
}

const SETTINGS: &[Setting] = &[
    rust("free", "pub ", "", "", "@"),
    rust("async", "async ", "", "", "@"),
    rust("const", "pub(crate) const ", "", "", "@"),
    rust("extern", "pub unsafe extern \"C\" ", "", "", "@"),
    rust("module", "pub ", "mod a {\nmod b {\n", "}\n}\n", "a::b::@"),
    rust(
        "test",
        "",
        "#[cfg(test)]\nmod tests {\nuse super::*;\n",
        "}\n",
        "tests::@",
    ),
    rust("method", "pub ", "struct T;\nimpl T {\n", "}\n", "T::@"),
    rust(
        "generic impl",
        "",
        "struct T<'a, A>(&'a A);\nimpl<'a, A: Copy> T<'a, A> {\n",
        "}\n",
        "T::@",
    ),
    rust(
        "trait impl",
        "",
        "struct T;\nimpl U for T {\n",
        "}\n",
        "<T as U>::@",
    ),
    rust(
        "generic trait impl",
        "",
        "impl<A> From<Vec<A>> for T<A> {\n",
        "}\n",
        "<T as From<Vec<A>>>::@",
    ),
    rust(
        "trait default",
        "",
        "trait U {\nfn must(&self);\n",
        "}\n",
        "U::@",
    ),
    rust(
        "second of two impls",
        "",
        "impl A { fn @(v: &[u32]) -> u32 { v[0] } }\nimpl B {\n",
        "}\nimpl C { fn @(v: &[u32]) -> u32 { v[2] } }\n",
        "B::@",
    ),
    rust(
        "the same name in two modules",
        "",
        "mod a { pub fn @(v: &[u32]) -> u32 { v[0] } }\nmod b {\n",
        "}\n",
        "b::@",
    ),
    rust(
        "nested",
        "",
        "fn outer(values: &[u32]) -> u32 {\n    let first = values[0];\n",
        "    first + values[1]\n}\n",
        "outer::@",
    ),
    rust(
        "method in a function",
        "",
        "fn outer() -> u32 {\n    struct Q;\n    impl Q {\n",
        "    }\n    Q::first()\n}\n",
        "outer::Q::@",
    ),
    rust(
        "in a macro call",
        "pub ",
        "cfg_if! {\n    if #[cfg(unix)] {\n",
        "    }\n}\n",
        "@",
    ),
    rust(
        "beside broken code",
        "pub ",
        "",
        "fn broken(a: u32 { a + ; }\n",
        "@",
    ),
    c("free C", "static ", "#include <a.h>\n", ""),
    c(
        "inline C",
        "static inline ",
        "#define LIMIT 3\n",
        "struct s { int a; };\n",
    ),
    c("C in ifdef", "", "#ifdef FAST\n", "#endif\n"),
    c(
        "C in else",
        "",
        "#ifdef FAST\nint other(void) { return 3; }\n#else\n",
        "#endif\n",
    ),
    c("C in extern block", "", "extern \"C\" {\n", "}\n"),
];

/// The function in its parts.
#[derive(Clone)]
struct Target {
    comment: String,
    attribute: String,
    name: String,
    signature: String,
    body: Vec<String>,
}

impl Setting {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn target(&self) -> Target {
        let lines: &[&str] = if self.is_rust() {
            &[
                "    let mut sum = limit;",
                "    for value in values.iter() {",
                "        sum += value % limit;",
                "    }",
                "",
                "    // The scale.",
                "    let scale = |part: u32| {",
                "        part * 3",
                "    };",
                "    scale(sum)",
            ]
        } else {
            &[
                "    unsigned sum = limit;",
                "    for (int i = 0; i < 7; i++) {",
                "        sum += values[i] % limit;",
                "    }",
                "",
                "    /* The scale. */",
                "    sum *= 3;",
                "    return sum + 1;",
            ]
        };
        Target {
            comment: "/// Adds up.\n".into(),
            attribute: String::new(),
            name: "total".into(),
            signature: if self.is_rust() {
                "fn @(values: &[u32], limit: u32) -> u32".into()
            } else {
                "unsigned @(const unsigned *values, unsigned limit)".into()
            },
            body: lines.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    fn render(&self, target: &Target) -> String {
        let signature = target.signature.replace('@', &target.name);
        let Target {
            comment, attribute, ..
        } = target;
        let body = target.body.join("\n");
        let modifiers = self.modifiers;
        format!("{comment}{attribute}{modifiers}{signature}\n{{\n{body}\n}}\n")
    }

    /// The whole file, with neighbours that stay as they are.
    fn file(&self, inner: &str) -> String {
        let (first, last) = if self.is_rust() {
            (
                "fn first() -> u32 {\n    let a = 1;\n    a + 2\n}\n\n",
                "\nfn last() -> u32 {\n    let mut sum = 5;\n    sum += 1;\n    sum\n}\n",
            )
        } else {
            (
                "int first(void)\n{\n    return 2;\n}\n\n",
                "\nint last(void)\n{\n    int sum = 5;\n    return sum;\n}\n",
            )
        };
        let before = self.before.replace('@', "total");
        let after = self.after.replace('@', "total");
        format!("{before}{first}{inner}{last}{after}")
    }

    fn qualified(&self, name: &str) -> String {
        self.qualified.replace('@', name)
    }
}

/// What a commit does to the function.
#[derive(Clone, Copy)]
enum Expected {
    Nothing,
    Modified,
    Renamed(&'static str),
    Added,
    Removed,
}

struct Edit {
    name: &'static str,
    expected: Expected,
    /// Base and head of what stands between the neighbours.
    apply: fn(&Setting, Target) -> (String, String),
}

fn modify(setting: &Setting, base: Target, change: impl Fn(&mut Target)) -> (String, String) {
    let text = setting.render(&base);
    let mut head = base;
    change(&mut head);
    (text, setting.render(&head))
}

const EDITS: &[Edit] = &[
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
        apply: |s, t| modify(s, t, |t| t.body.insert(1, "    sum = sum + 9;".into())),
    },
    Edit {
        name: "body and a comment above",
        expected: Expected::Modified,
        apply: |s, t| {
            modify(s, t, |t| {
                t.comment = "/// Adds up what is\n/// left.\n".into();
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
            let more = if s.is_rust() {
                ", more: u8)"
            } else {
                ", int more)"
            };
            modify(s, t, |t| t.signature = t.signature.replacen(')', more, 1))
        },
    },
    Edit {
        name: "attribute",
        expected: Expected::Modified,
        apply: |s, t| {
            let attribute = if s.is_rust() {
                "#[inline(never)]\n"
            } else {
                "__attribute__((noinline))\n"
            };
            modify(s, t, |t| t.attribute = attribute.into())
        },
    },
    Edit {
        name: "attribute taken away",
        expected: Expected::Modified,
        apply: |s, mut t| {
            t.attribute = if s.is_rust() {
                "#[inline]\n".into()
            } else {
                "__attribute__((hot))\n".into()
            };
            modify(s, t, |t| t.attribute.clear())
        },
    },
    Edit {
        name: "type parameter or qualifier",
        expected: Expected::Modified,
        apply: |s, t| {
            let (from, to) = if s.is_rust() {
                ("@(", "@<X: Copy>(")
            } else {
                ("unsigned limit", "const unsigned limit")
            };
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
        apply: |s, t| {
            let body = if s.is_rust() {
                "    values.len() as u32 / limit"
            } else {
                "    return values[0] / limit;"
            };
            modify(s, t, |t| t.body = vec![body.into()])
        },
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
                t.body.insert(3, "        // Why: it wraps.".into());
                t.body.insert(1, "    /* two\n       lines */".into());
            })
        },
    },
    Edit {
        name: "documentation",
        expected: Expected::Nothing,
        apply: |s, t| modify(s, t, |t| t.comment = "/// Sums.\n///\n/// Twice.\n".into()),
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
            let comma = if s.is_rust() { ",\n)" } else { "\n)" };
            let signature = t.signature.replace('(', "(\n    ").replace(')', comma);
            let mut head = Target { signature, ..t };
            head.body.retain(|line| !line.contains("The scale"));
            head.body = vec![head.body.join(" ").replace(" + ", "+")];
            (base, s.render(&head))
        },
    },
    Edit {
        name: "moved behind a new neighbour",
        expected: Expected::Nothing,
        apply: |s, t| {
            let text = s.render(&t);
            let twin = if s.is_rust() {
                "const X: u32 = 7;\n"
            } else {
                "static int x = 7;\n"
            };
            (format!("{text}\n{twin}"), format!("{twin}\n{text}"))
        },
    },
];

type Answer = BTreeSet<(Option<String>, Option<String>, String)>;

fn expected_answer(setting: &Setting, edit: &Edit) -> Answer {
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

/// Every edit in every setting: all changed functions are found, and nothing else is named. The
/// goal is 99 % found with 2 % false; here none is missed, and one is false, which is named below.
#[test]
fn each_edit_in_each_setting_is_told_apart() {
    let (mut cases, mut expected, mut missed, mut false_ones) = (0, 0, Vec::new(), Vec::new());
    for setting in SETTINGS {
        for edit in EDITS {
            let (base, head) = (edit.apply)(setting, setting.target());
            let (base, head) = (setting.file(&base), setting.file(&head));
            let changed = changes_of_edit(setting.path, &base, &head);
            let found: Answer = changed
                .functions
                .iter()
                .map(|f| {
                    let name = |place: &Option<hotproof_diff::changes::Place>| {
                        place.as_ref().map(|place| place.name.clone())
                    };
                    (name(&f.base), name(&f.head), format!("{:?}", f.change))
                })
                .collect();
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
    assert!(cases >= 500 && expected >= 350, "{cases}, {expected}");
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
