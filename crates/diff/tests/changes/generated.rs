//! Commits drawn by lot over all languages, with the truth by construction: at least 99 % of the
//! changed functions are found, and at most 2 % of what is found is false.

use std::collections::BTreeSet;

use hotproof_diff::changes::{Changed, Place};

use crate::commit::{File, changes_of};
use crate::corpus::{EDITS, Expected, Target};
use crate::made::Dice;
use crate::settings::{SETTINGS, Setting};

/// So many commits; each seed is one.
const COMMITS: u64 = 400;

/// `base key > head key, what`, with `-` where there is none.
type Answer = BTreeSet<String>;

/// Files of a commit as they are before and after, by path.
#[derive(Default)]
struct Commit {
    /// What was drawn, for messages.
    story: Vec<String>,
    files: Vec<[Option<(String, String)>; 2]>,
    /// The rest of the tree at head.
    others: Vec<(String, String)>,
    truth: Answer,
}

fn below(dice: &mut Dice, limit: usize) -> usize {
    (dice.bits() % limit as u64) as usize
}

impl Commit {
    fn draw(seed: u64) -> Commit {
        let mut commit = Commit {
            story: Vec::new(),
            files: Vec::new(),
            others: Vec::new(),
            truth: Answer::new(),
        };
        let mut dice = Dice::new(seed);
        match below(&mut dice, 10) {
            0 => commit.moved_between_files(&mut dice),
            1 => commit.renamed_file(&mut dice),
            2 | 3 => commit.definition(&mut dice),
            _ => {}
        }
        for index in 0..=below(&mut dice, 3) {
            commit.edited_file(&mut dice, index);
        }
        commit
    }

    /// One function of a file is edited, or only looks so.
    fn edited_file(&mut self, dice: &mut Dice, index: usize) {
        let setting = &SETTINGS[below(dice, SETTINGS.len())];
        let name = format!("total{index}");
        let path = format!("src/f{index}/a.{}", setting.style.extension);
        let (base, head, expected, what) = edit(dice, setting, &name);
        self.story.push(format!("{} / {what}", setting.name));
        self.expect(&path, &path, setting, &name, expected);
        self.files.push([
            Some((path.clone(), setting.file(&base))),
            Some((path, setting.file(&head))),
        ]);
    }

    fn renamed_file(&mut self, dice: &mut Dice) {
        let setting = &SETTINGS[below(dice, SETTINGS.len())];
        let name = "renamed_file";
        let extension = setting.style.extension;
        let [old, new] = ["old", "new"].map(|stem| format!("src/{stem}.{extension}"));
        let (base, head, expected, what) = edit(dice, setting, name);
        self.story
            .push(format!("{} / {what} in a renamed file", setting.name));
        self.expect(&old, &new, setting, name, expected);
        self.files.push([
            Some((old, setting.file(&base))),
            Some((new, setting.file(&head))),
        ]);
    }

    /// A function goes to another file of its kind, where it may be edited a little.
    fn moved_between_files(&mut self, dice: &mut Dice) {
        let setting = &SETTINGS[below(dice, SETTINGS.len())];
        let mut target = named(setting, "wanderer");
        let text = setting.render(&target);
        if dice.coin() {
            target.body[2] = target.body[2].replace("+=", "^=");
        }
        let extension = setting.style.extension;
        let [from, to] = ["from", "to"].map(|stem| format!("src/{stem}.{extension}"));
        let moved = setting.render(&target);
        self.story
            .push(format!("{} / moved to another file", setting.name));
        self.expect(&from, &to, setting, "wanderer", Expected::Modified);
        let file = |path: &str, inner: &str| Some((path.to_owned(), setting.file(inner)));
        self.files.push([file(&from, &text), file(&from, "")]);
        self.files.push([file(&to, ""), file(&to, &moved)]);
    }

    /// A constant or a macro changes, which functions of the file and of another one use.
    fn definition(&mut self, dice: &mut Dice) {
        let case = &DEFINITIONS[below(dice, DEFINITIONS.len())];
        self.define(case, 2 + below(dice, 90));
    }

    fn define(&mut self, case: &Definition, value: usize) {
        let text = |value: usize| case.text.replace('@', &value.to_string());
        self.story.push(format!("{} {value}", case.path));
        self.files.push([
            Some((case.path.to_owned(), text(1))),
            Some((case.path.to_owned(), text(value))),
        ]);
        let (path, other) = case.other;
        self.others.push((path.to_owned(), other.to_owned()));
        for user in case.users {
            self.truth
                .insert(format!("{user} > {user}, {}", case.change));
        }
    }

    fn expect(&mut self, old: &str, new: &str, setting: &Setting, name: &str, expected: Expected) {
        let key = |path: &str, name: &str| {
            let twin = setting.before.contains("@(") && setting.name == "beside overloads";
            let ordinal = if twin && name == "total" { "#2" } else { "" };
            format!("{path}::{}{ordinal}", setting.qualified(name))
        };
        let none = || "-".to_owned();
        let (base, head, change) = match expected {
            Expected::Nothing => return,
            Expected::Modified => (key(old, name), key(new, name), "Modified"),
            Expected::Renamed(other) => (key(old, name), key(new, other), "Modified"),
            Expected::Added => (none(), key(new, name), "Added"),
            Expected::Removed => (key(old, name), none(), "Removed"),
        };
        self.truth.insert(format!("{base} > {head}, {change}"));
    }

    fn found(&self) -> (Answer, Changed) {
        fn side(side: &Option<(String, String)>) -> Option<(&str, &str)> {
            side.as_ref()
                .map(|(path, text)| (path.as_str(), text.as_str()))
        }
        // What is the same on both sides is in no diff.
        let differs = |file: &&[Option<(String, String)>; 2]| file[0] != file[1];
        let files: Vec<File<'_>> = self
            .files
            .iter()
            .filter(differs)
            .map(|[base, head]| File {
                base: side(base),
                head: side(head),
            })
            .collect();
        let mut changed = changes_of(&files);
        let heads = self.files.iter().filter_map(|[_, head]| head.as_ref());
        let tree: Vec<(String, Vec<u8>)> = heads
            .chain(&self.others)
            .map(|(path, text)| (path.clone(), text.clone().into_bytes()))
            .collect();
        changed.add_uses(&mut |_| tree.clone());
        let key = |place: &Option<Place>| place.as_ref().map_or("-".to_owned(), Place::key);
        let rows = changed.functions.iter();
        let rows = rows.map(|f| format!("{} > {}, {:?}", key(&f.base), key(&f.head), f.change));
        (rows.collect(), changed)
    }
}

fn named(setting: &Setting, name: &str) -> Target {
    Target {
        name: name.to_owned(),
        ..setting.target()
    }
}

/// Base and head of one edit that was drawn, what is to be found, and what it was.
fn edit(
    dice: &mut Dice,
    setting: &Setting,
    name: &str,
) -> (String, String, Expected, &'static str) {
    let edit = &EDITS[below(dice, EDITS.len())];
    let (base, head) = (edit.apply)(setting, named(setting, name));
    (base, head, edit.expected, edit.name)
}

/// A file with a definition, whose value is `@`, and another file; their functions that use it.
struct Definition {
    path: &'static str,
    text: &'static str,
    other: (&'static str, &'static str),
    users: &'static [&'static str],
    change: &'static str,
}

const DEFINITIONS: &[Definition] = &[
    Definition {
        path: "d/consts.rs",
        text: "pub const LIMIT: u32 = @;\nconst TWICE: u32 = 2 * LIMIT;\nfn direct() -> u32 { LIMIT }\nfn through() -> u32 { TWICE }\nfn neither(limit: u32) -> u32 { limit }\n",
        other: (
            "d/user.rs",
            "use crate::consts::LIMIT;\nstruct T;\nimpl T {\n    fn uses(&self) -> bool {\n        [1].iter().any(|x| *x < LIMIT)\n    }\n    fn not(&self) -> u32 { u32::LIMIT }\n}\n",
        ),
        users: &[
            "d/consts.rs::direct",
            "d/consts.rs::through",
            "d/user.rs::T::uses",
        ],
        change: "UsesConstant",
    },
    Definition {
        path: "d/macros.rs",
        text: "#[macro_export]\nmacro_rules! check {\n    ($x:expr) => { $x % @ };\n}\nfn expands(x: u32) -> u32 { check!(x) }\nfn check(x: u32) -> u32 { x }\nfn calls(x: u32) -> u32 { check(x) }\n",
        other: (
            "d/user.rs",
            "fn nested(x: u32) { println!(\"{}\", check!(x)); }\n",
        ),
        users: &["d/macros.rs::expands", "d/user.rs::nested"],
        change: "ExpandsMacro",
    },
    Definition {
        path: "d/limits.h",
        text: "#define LIMIT @\n#define SCALE(x) ((x) * LIMIT)\nstatic inline int scaled(int x) { return SCALE(x); }\n",
        other: (
            "d/user.c",
            "#include \"limits.h\"\nint uses(int x) { return x < LIMIT; }\nint not(struct s *p) { return p->LIMIT; }\n",
        ),
        users: &["d/limits.h::scaled", "d/user.c::uses"],
        change: "ExpandsMacro",
    },
    Definition {
        path: "d/consts.cpp",
        text: "namespace n {\nstatic constexpr int LIMIT = @;\nstruct S {\n    int uses() const { return LIMIT; }\n    int LIMIT_of() const { return 3; }\n};\nauto lambda = [](int x) { return x + LIMIT; };\n}\n",
        other: (
            "d/other.cpp",
            "static const int LIMIT = 4;\nint own() { return LIMIT; }\n",
        ),
        users: &["d/consts.cpp::n::S::uses", "d/consts.cpp::n::lambda"],
        change: "UsesConstant",
    },
    Definition {
        path: "p/consts.go",
        text: "package p\n\nconst limit = @\n\nvar table = []int{limit}\n\nfunc direct() int { return limit }\nfunc through() int { return table[0] }\nfunc shadowed(limit int) int { return limit }\n",
        other: (
            "p/user.go",
            "package p\n\nfunc (t *T) Uses() int { return t.x + limit }\nfunc (t *T) Not() int { return t.limit }\n",
        ),
        users: &[
            "p/consts.go::direct",
            "p/consts.go::through",
            "p/user.go::T::Uses",
        ],
        change: "UsesConstant",
    },
    Definition {
        path: "d/consts.py",
        text: "LIMIT = @\n\ndef direct():\n    return LIMIT\n\ndef keyword():\n    return f(LIMIT=3)\n",
        other: (
            "d/user.py",
            "import consts\n\nclass T:\n    def uses(self):\n        return consts.LIMIT\n    def own(self):\n        return self.LIMIT\n",
        ),
        users: &["d/consts.py::direct", "d/user.py::T::uses"],
        change: "UsesConstant",
    },
    Definition {
        path: "d/types.rs",
        text: "pub struct Counter {\n    seen: Vec<[u8; @]>,\n    pub total: u64,\n}\npub type Row = [u8; @];\nimpl Counter {\n    fn add(&mut self) { self.seen.push(todo!()) }\n    fn total(&self) -> u64 { self.total }\n    fn new() -> Self { Self { seen: Vec::new(), total: 0 } }\n}\nstruct Other;\nimpl Other {\n    fn no(&self) { self.seen() }\n    fn yes(c: &Counter) -> usize { c.seen.len() }\n}\n",
        other: (
            "d/rows.rs",
            "use crate::types::{Counter, Row};\nfn sum(row: &Row) -> u8 { row[0] }\nfn count(c: &Counter) -> u64 { c.total }\nfn inferred() -> usize { make().seen.len() }\n",
        ),
        users: &[
            "d/types.rs::Counter::add",
            "d/types.rs::Counter::new",
            "d/types.rs::Other::yes",
            "d/rows.rs::sum",
            "d/rows.rs::inferred",
        ],
        change: "UsesType",
    },
    Definition {
        path: "d/imports.rs",
        text: "use std::fmt::Write;\nuse maps::v@::Map;\nstruct Names {\n    by_name: Map<u8, u8>,\n    all: Vec<u8>,\n}\nimpl Names {\n    fn get(&self) -> Option<&u8> { self.by_name.get(&1) }\n    fn first(&self) -> u8 { self.all[0] }\n}\nfn fresh() -> u8 { Map::new().len() }\nfn typed(map: &Map<u8, u8>) {}\nfn writes(w: &mut dyn Write) {}\n",
        other: ("d/user.rs", "use other::Map;\nfn apart(map: &Map) {}\n"),
        users: &[
            "d/imports.rs::Names::get",
            "d/imports.rs::fresh",
            "d/imports.rs::typed",
        ],
        change: "UsesType",
    },
    Definition {
        path: "d/list.h",
        text: "typedef struct {\n    char data[@];\n    int length;\n} list_t;\nstruct node {\n    struct node *next;\n    char label[@];\n};\ntypedef unsigned char row_t[@];\nstatic inline int length(const list_t *l) { return l->length; }\nstatic inline char first(const list_t *l) { return l->data[0]; }\n",
        other: (
            "d/walk.c",
            "#include \"list.h\"\nint walk(struct node *n) { return n->next ? walk(n->next) : n->label[0]; }\nint steps(struct node *n) { return n->next ? 1 : 0; }\nint row(row_t r) { return 0; }\n",
        ),
        users: &["d/list.h::first", "d/walk.c::walk", "d/walk.c::row"],
        change: "UsesType",
    },
    Definition {
        path: "d/names.hpp",
        text: "namespace n {\nusing Row = Array<@>;\ntemplate <class T> struct Names {\n    Map<T, @> seen;\n    int total = 0;\n    void add(const T &v) { ++seen[v]; }\n    int size() const { return total; }\n    void own(int seen) { total = seen; }\n};\n}\n",
        other: (
            "d/user.cpp",
            "#include \"names.hpp\"\nint uses(n::Names<int> &x) { return x.seen.size(); }\nint not(n::Names<int> &x) { return x.total; }\nint rows(const n::Row &r) { return 1; }\n",
        ),
        users: &[
            "d/names.hpp::n::Names::add",
            "d/user.cpp::uses",
            "d/user.cpp::rows",
        ],
        change: "UsesType",
    },
    Definition {
        path: "p/table.go",
        text: "package p\n\nimport (\n\t\"fmt\"\n\tjson \"encoding/json@\"\n)\n\ntype Table struct {\n\trows map[string][@]int\n\tsize int\n}\n\nfunc (t *Table) Get(k string) int { return t.rows[k][0] }\nfunc (t *Table) Size() int { return t.size }\nfunc Make() *Table { return &Table{rows: nil} }\nfunc Dump(v any) { json.Marshal(v) }\nfunc Print(v any) { fmt.Println(v) }\n",
        other: (
            "p/user.go",
            "package p\n\nfunc Count(t *Table) int { return len(t.rows) }\nfunc Other(x *Else) int { return x.size }\n",
        ),
        users: &[
            "p/table.go::Table::Get",
            "p/table.go::Make",
            "p/table.go::Dump",
            "p/user.go::Count",
        ],
        change: "UsesType",
    },
    Definition {
        path: "d/imports.py",
        text: "import os\nimport json@ as json\nfrom fast@ import dumps\n\ndef direct(x):\n    return json.loads(x)\n\ndef other(x):\n    return os.getcwd()\n\ndef writes(x):\n    return dumps(x)\n\ndef shadowed(json):\n    return json\n",
        other: (
            "d/user.py",
            "import json\n\ndef apart(x):\n    return json.loads(x)\n",
        ),
        users: &["d/imports.py::direct", "d/imports.py::writes"],
        change: "UsesType",
    },
    Definition {
        path: "d/imports.ts",
        text: "import { parse } from './parse@';\nimport { write } from './write';\nexport const reads = (x: string) => parse(x);\nexport const writes = (x: string) => write(x);\n",
        other: (
            "d/user.ts",
            "import { parse } from './other';\nexport const apart = (x: string) => parse(x);\n",
        ),
        users: &["d/imports.ts::reads"],
        change: "UsesType",
    },
    Definition {
        path: "d/consts.ts",
        text: "export const limit = @;\nexport const direct = (x: number) => x < limit;\nfunction key() { return { limit: 3 }; }\nfunction shadowed(limit: number) { return limit; }\n",
        other: (
            "d/user.ts",
            "import { limit } from './consts';\nclass T { uses() { return [1].map((x) => x + limit); } not() { return this.limit; } }\n",
        ),
        users: &["d/consts.ts::direct", "d/user.ts::T::uses"],
        change: "UsesConstant",
    },
];

#[test]
fn changed_functions_of_drawn_commits_are_found() {
    let (mut expected, mut found, mut missed, mut false_ones) = (0, 0, Vec::new(), Vec::new());
    for seed in 0..COMMITS {
        let commit = Commit::draw(seed);
        let (answer, _) = commit.found();
        let story = || format!("{seed} {:?}", commit.story);
        expected += commit.truth.len();
        found += answer.len();
        missed.extend(
            commit
                .truth
                .difference(&answer)
                .map(|f| format!("{} {f}", story())),
        );
        false_ones.extend(
            answer
                .difference(&commit.truth)
                .map(|f| format!("{} {f}", story())),
        );
    }
    let rate = |part: usize, of: usize| 100.0 * part as f64 / of as f64;
    let missed_pct = rate(missed.len(), expected);
    let false_pct = rate(false_ones.len(), found);
    println!(
        "{COMMITS} commits, {expected} changed functions: {:.2} % found, {false_pct:.2} % of {found} false",
        100.0 - missed_pct
    );
    assert!(expected >= 400, "{expected}");
    assert!(missed_pct <= 1.0, "{missed_pct} %: {missed:#?}");
    assert!(false_pct <= 2.0, "{false_pct} %: {false_ones:#?}");
}

/// Of each definition alone: all of its users, and nobody else.
#[test]
fn users_of_each_definition_are_exactly_those() {
    for case in DEFINITIONS {
        let mut commit = Commit::default();
        commit.define(case, 7);
        assert_eq!(commit.found().0, commit.truth, "{}", case.path);
    }
}

/// The same seed is the same commit with the same answer.
#[test]
fn drawn_commits_are_the_same_each_time() {
    for seed in 0..20 {
        let answers = [(); 2].map(|()| Commit::draw(seed).found());
        assert_eq!(answers[0], answers[1]);
    }
}
