//! What is kept of names between runs.

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
    /// How many addresses it names, or functions it lists.
    pub names: u64,
}

impl Serialize for Content {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<'a> {
            image: &'a str,
            build_id: Option<String>,
            names: u64,
        }
        let row = Row {
            image: &self.image,
            build_id: (!self.build_id.is_empty()).then(|| hex(&self.build_id)),
            names: self.names,
        };
        row.serialize(serializer)
    }
}

/// Where the cache is, how large it is and what is in it. `cleared` are the entries and bytes that
/// were just removed; `width` is that of the reader's screen in columns.
pub fn table(facts: &Facts, cleared: Option<(u64, u64)>, width: usize) -> String {
    let mut text = String::new();
    if let Some((entries, size_bytes)) = cleared {
        let size = bytes(size_bytes as f64);
        let files = if entries == 1 { "entry" } else { "entries" };
        text.push_str(&format!("removed {} {files}, {size}\n", count(entries)));
    }
    let total: u64 = facts.entries.iter().map(|entry| entry.size_bytes).sum();
    text.push_str(&format!(
        "{}  {} in {} of at most {}\n",
        clean(&facts.folder),
        bytes(total as f64),
        counted(facts.entries.len() as u64, "file"),
        bytes(facts.limit_bytes as f64),
    ));
    if facts.entries.is_empty() {
        return text;
    }
    text.push_str("\n       size      names  last used  image\n");
    for entry in &facts.entries {
        let (names, image) = match &entry.content {
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
}

#[derive(Serialize)]
struct Cleared {
    entries: u64,
    size_bytes: u64,
}

/// The same as JSON: schema `hotproof.cache`, version 1; no facts where there is no cache.
pub fn json(facts: Option<&Facts>, cleared: Option<(u64, u64)>) -> String {
    crate::schema::pretty(&Document {
        schema: Schema::new("hotproof.cache"),
        cache: facts.map(|facts| Place {
            folder: &facts.folder,
            size_bytes: facts.entries.iter().map(|entry| entry.size_bytes).sum(),
            limit_bytes: facts.limit_bytes,
            entries: &facts.entries,
        }),
        cleared: cleared.map(|(entries, size_bytes)| Cleared {
            entries,
            size_bytes,
        }),
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
        };
        let expected = "\
removed 3 entries, 2.0 MiB
/home/u/.cache/hotproof  61 KiB in 2 files of at most 512.0 MiB

       size      names  last used  image
     60 KiB      1,204        now  /usr/bin/bench
      1 KiB          -        2 h  (damaged: not used)
";
        assert_eq!(table(&facts, Some((3, 2 << 20)), 80), expected);
    }
}
