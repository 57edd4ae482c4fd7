//! What is kept between runs: names of symbols, and builds of compared refs.

use serde::Serialize;

use crate::names::clean;
use crate::numbers::{bytes, count, counted};
use crate::schema::Schema;

/// A cache as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Where it is.
    pub folder: String,
    /// How large it may grow.
    pub limit_bytes: u64,
    /// Those used last first.
    pub entries: Vec<Entry>,
    /// The builds that comparisons keep, in its folder `builds`.
    pub builds: Builds,
}

/// The builds that are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Builds {
    /// How large they may grow together.
    pub limit_bytes: u64,
    /// Those used last first.
    pub entries: Vec<Build>,
}

/// One kept build of a ref.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Build {
    /// The name of its folder.
    pub name: String,
    /// The program that cargo built; `None` where something else built it.
    pub program: Option<String>,
    /// How long the build took.
    pub build_s: u64,
    /// The size of its files.
    pub size_bytes: u64,
    /// For how long no comparison has used it.
    pub unused_s: u64,
}

/// What was just removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Cleared {
    /// How many files with names.
    pub entries: u64,
    /// Their size together.
    pub size_bytes: u64,
    /// How many builds.
    pub builds: u64,
    /// Their size together.
    pub builds_size_bytes: u64,
    /// How many builds stay, because a comparison that runs uses them.
    pub builds_in_use: u64,
}

/// One file of a cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What it holds; `None` when it is damaged or of another version.
    pub content: Option<Content>,
    /// Its size.
    pub size_bytes: u64,
    /// For how long nobody has used it, nearly.
    pub unused_s: u64,
}

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The image: a path, or `[kernel]`.
    pub image: String,
    /// Its build-id; empty when it has none.
    pub build_id: Vec<u8>,
    /// The section whose decompressed bytes these are; `None` for names.
    pub section: Option<String>,
    /// How many addresses it names, or functions it lists.
    pub names: u64,
}

impl Serialize for Content {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<'a> {
            image: &'a str,
            build_id: Option<String>,
            section: Option<&'a str>,
            names: u64,
        }
        let row = Row {
            image: &self.image,
            build_id: (!self.build_id.is_empty()).then(|| hex(&self.build_id)),
            section: self.section.as_deref(),
            names: self.names,
        };
        row.serialize(serializer)
    }
}

/// Where the cache is, how large it is and what is in it. `cleared` is what was just removed;
/// `width` is that of the reader's screen in columns.
pub fn table(facts: &Facts, cleared: Option<Cleared>, width: usize) -> String {
    let mut text = cleared.as_ref().map_or_else(String::new, removed);
    let total: u64 = facts.entries.iter().map(|entry| entry.size_bytes).sum();
    text.push_str(&format!(
        "{}  {} in {} of at most {}\n",
        clean(&facts.folder),
        bytes(total as f64),
        counted(facts.entries.len() as u64, "file"),
        bytes(facts.limit_bytes as f64),
    ));
    text.push_str(&names(&facts.entries, width));
    text.push_str(&builds(facts, width));
    text
}

fn removed(cleared: &Cleared) -> String {
    let size = bytes(cleared.size_bytes as f64);
    let files = if cleared.entries == 1 {
        "entry"
    } else {
        "entries"
    };
    let mut text = format!("removed {} {files}, {size}\n", count(cleared.entries));
    if cleared.builds > 0 {
        let size = bytes(cleared.builds_size_bytes as f64);
        text.push_str(&format!(
            "removed {}, {size}\n",
            counted(cleared.builds, "build")
        ));
    }
    if cleared.builds_in_use > 0 {
        let builds = counted(cleared.builds_in_use, "build");
        text.push_str(&format!("left {builds} that a comparison uses now\n"));
    }
    text
}

fn builds(facts: &Facts, width: usize) -> String {
    let all = &facts.builds.entries;
    if all.is_empty() {
        return String::new();
    }
    let total: u64 = all.iter().map(|build| build.size_bytes).sum();
    let mut text = format!(
        "\n{}/builds  {} in {} of at most {}\n\n       size   built in  last used  program\n",
        clean(&facts.folder),
        bytes(total as f64),
        counted(all.len() as u64, "build"),
        bytes(facts.builds.limit_bytes as f64),
    );
    for build in all {
        let program = build.program.as_deref().map(clean);
        let fixed = format!(
            "{:>11}  {:>7} s  {:>9}  ",
            bytes(build.size_bytes as f64),
            count(build.build_s),
            age(build.unused_s),
        );
        let room = width.saturating_sub(fixed.len()).max(20);
        let shown = program.unwrap_or_else(|| clean(&build.name));
        let shown = crate::names::cut_middle(&shown, room);
        text.push_str(&format!("{fixed}{shown}\n"));
    }
    text
}

fn names(entries: &[Entry], width: usize) -> String {
    let mut text = String::new();
    if entries.is_empty() {
        return text;
    }
    text.push_str("\n       size      names  last used  image\n");
    for entry in entries {
        let (names, image) = match &entry.content {
            Some(Content {
                image,
                section: Some(section),
                ..
            }) => {
                let shown = format!("{} of {}, unpacked", clean(section), clean(image));
                ("-".to_owned(), shown)
            }
            Some(content) => (count(content.names), clean(&content.image)),
            None => ("-".to_owned(), "(damaged: not used)".to_owned()),
        };
        let fixed = format!(
            "{:>11}  {names:>9}  {:>9}  ",
            bytes(entry.size_bytes as f64),
            age(entry.unused_s),
        );
        let room = width.saturating_sub(fixed.len()).max(20);
        text.push_str(&format!(
            "{fixed}{}\n",
            crate::names::cut_middle(&image, room)
        ));
    }
    text
}

fn age(seconds: u64) -> String {
    match seconds {
        0..=59 => "now".to_owned(),
        60..=3_599 => format!("{} min", seconds / 60),
        3_600..=86_399 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: Schema,
    cache: Option<Place<'a>>,
    cleared: Option<Cleared>,
}

#[derive(Serialize)]
struct Place<'a> {
    folder: &'a str,
    size_bytes: u64,
    limit_bytes: u64,
    entries: &'a [Entry],
    builds: BuildsPlace<'a>,
}

#[derive(Serialize)]
struct BuildsPlace<'a> {
    size_bytes: u64,
    limit_bytes: u64,
    entries: &'a [Build],
}

/// The same as JSON: schema `hotproof.cache`, version 1; no facts where there is no cache.
pub fn json(facts: Option<&Facts>, cleared: Option<Cleared>) -> String {
    let builds = |builds: &Builds| builds.entries.iter().map(|build| build.size_bytes).sum();
    crate::schema::pretty(&Document {
        schema: Schema::new("hotproof.cache"),
        cache: facts.map(|facts| Place {
            folder: &facts.folder,
            size_bytes: facts.entries.iter().map(|entry| entry.size_bytes).sum(),
            limit_bytes: facts.limit_bytes,
            entries: &facts.entries,
            builds: BuildsPlace {
                size_bytes: builds(&facts.builds),
                limit_bytes: facts.builds.limit_bytes,
                entries: &facts.builds.entries,
            },
        }),
        cleared,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_place_size_and_what_each_entry_is_about() {
        let content = Content {
            image: "/usr/bin/bench".to_owned(),
            build_id: vec![0xab],
            section: None,
            names: 1_204,
        };
        let entry = |content, size_bytes, unused_s| Entry {
            content,
            size_bytes,
            unused_s,
        };
        let facts = Facts {
            folder: "/home/u/.cache/hotproof".to_owned(),
            limit_bytes: 512 << 20,
            entries: vec![entry(Some(content), 61_440, 30), entry(None, 1_024, 7_200)],
            builds: Builds {
                limit_bytes: 8 << 30,
                entries: vec![Build {
                    name: "ab-00".to_owned(),
                    program: Some("target/release/bench".to_owned()),
                    build_s: 41,
                    size_bytes: 3 << 20,
                    unused_s: 90,
                }],
            },
        };
        let cleared = Cleared {
            entries: 3,
            size_bytes: 2 << 20,
            builds: 1,
            builds_size_bytes: 1 << 20,
            builds_in_use: 2,
        };
        let expected = "\
removed 3 entries, 2.0 MiB
removed 1 build, 1.0 MiB
left 2 builds that a comparison uses now
/home/u/.cache/hotproof  61 KiB in 2 files of at most 512.0 MiB

       size      names  last used  image
     60 KiB      1,204        now  /usr/bin/bench
      1 KiB          -        2 h  (damaged: not used)

/home/u/.cache/hotproof/builds  3.0 MiB in 1 build of at most 8.0 GiB

       size   built in  last used  program
    3.0 MiB       41 s      1 min  target/release/bench
";
        assert_eq!(table(&facts, Some(cleared), 80), expected);
    }
}
