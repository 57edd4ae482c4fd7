//! Holds the message structs to the published schema, and the published schema to real files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use hotproof_formats::native;

use crate::{example, skip};

const PROTO: &str = include_str!("../../proto/hotproof.proto");
const STRUCTS: &str = include_str!("../../src/native/schema.rs");

/// Fields (name, type with its label) or values (name, nothing) by number, by message or enum.
type Schema = BTreeMap<String, BTreeMap<u32, (String, String)>>;

/// The schema as `hotproof.proto` states it.
fn published() -> Schema {
    let mut schema = Schema::new();
    let mut name = String::new();
    let code = PROTO
        .lines()
        .map(|line| line.split("//").next().unwrap().trim());
    for line in code.filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.trim_end_matches(';').split_whitespace().collect();
        match words[..] {
            ["}"] | ["syntax" | "package", ..] => {}
            ["message" | "enum", block, "{"] => {
                name = block.to_owned();
                schema.insert(name.clone(), BTreeMap::new());
            }
            [value, "=", number] => {
                let block = schema.get_mut(&name).unwrap();
                block.insert(number.parse().unwrap(), (camel_case(value), String::new()));
            }
            [ref kind @ .., field, "=", number] => {
                let block = schema.get_mut(&name).unwrap();
                block.insert(number.parse().unwrap(), (field.to_owned(), kind.join(" ")));
            }
            _ => panic!("the test does not understand {line:?}"),
        }
    }
    schema
}

/// The schema as the derive attributes state it.
fn derived() -> Schema {
    let mut schema = Schema::new();
    let mut name = String::new();
    let mut attribute = None;
    for line in STRUCTS.lines().map(str::trim) {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["pub(crate)", "struct" | "enum", block, "{"] = words[..] {
            name = block.to_owned();
            schema.insert(name.clone(), BTreeMap::new());
        } else if let Some(inner) = line.strip_prefix("#[prost(") {
            attribute = Some(inner.trim_end_matches(")]").to_owned());
        } else if let ["pub", field, rust_type] = words[..] {
            let attribute = attribute.take().expect("each field has an attribute");
            let (number, kind) = field_of(&attribute, rust_type.trim_end_matches(','));
            let field = field.trim_end_matches(':').to_owned();
            schema.get_mut(&name).unwrap().insert(number, (field, kind));
        } else if let [value, "=", number] = words[..] {
            let number = number.trim_end_matches(',').parse().unwrap();
            let value = (value.to_owned(), String::new());
            schema.get_mut(&name).unwrap().insert(number, value);
        }
    }
    schema
}

/// Number and type, spelled as a .proto does, of `enumeration = "Unit", repeated, tag = "2"`.
fn field_of(attribute: &str, rust_type: &str) -> (u32, String) {
    let (mut number, mut kind, mut label) = (0, String::new(), "");
    for part in attribute.split(", ") {
        let (key, value) = part.split_once(" = ").unwrap_or((part, ""));
        let value = value.trim_matches('"');
        match key {
            "tag" => number = value.parse().unwrap(),
            "repeated" => label = "repeated ",
            "optional" => label = "optional ",
            "enumeration" => kind = value.to_owned(),
            "message" => {
                let inner = rust_type.trim_end_matches('>');
                kind = inner.rsplit('<').next().unwrap().to_owned();
            }
            scalar => kind = scalar.to_owned(),
        }
    }
    // A field that is a message can always be absent, so the schema says nothing of it.
    if attribute.starts_with("message") && label == "optional " {
        label = "";
    }
    (number, format!("{label}{kind}"))
}

fn camel_case(value: &str) -> String {
    let words = value.split('_').map(|word| {
        let (first, rest) = word.split_at(1);
        format!("{first}{}", rest.to_lowercase())
    });
    words.collect()
}

#[test]
fn the_structs_are_the_published_schema() {
    let (published, derived) = (published(), derived());
    assert!(
        published.len() > 20 && published["Meta"].len() == 23,
        "the parser saw it all"
    );
    assert_eq!(derived, published);
}

/// The chunks of a file: kind and message.
fn messages(bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut messages = Vec::new();
    let mut at = 16;
    while at < bytes.len() {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let end = at + 16 + number(at + 8) as usize;
        let plain = zstd::bulk::decompress(&bytes[at + 16..end], number(at + 4) as usize).unwrap();
        messages.push((number(at), plain));
        at = end;
    }
    messages
}

fn decode(kind: &str, message: &[u8]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let mut protoc = Command::new("protoc")
        .arg(format!("--decode=hotproof.v1.{kind}"))
        .arg("hotproof.proto")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    protoc.stdin.take().unwrap().write_all(message).unwrap();
    let output = protoc.wait_with_output().unwrap();
    assert!(output.status.success(), "protoc refuses {kind}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn protoc_reads_a_file_by_the_published_schema() {
    if Command::new("protoc").arg("--version").output().is_err() {
        skip("protoc is not installed, so it cannot read our file");
        return;
    }
    let mut bytes = Vec::new();
    native::write(&example::profile(), &mut bytes).unwrap();
    let mut texts = String::new();
    for (kind, message) in messages(&bytes) {
        let kind = ["Rows", "Meta", "End"][kind as usize - 1];
        texts.push_str(&decode(kind, &message));
    }
    // protoc shows a field that the schema does not have by its number.
    let unknown = |line: &&str| {
        line.trim_start()
            .starts_with(|first: char| first.is_ascii_digit())
    };
    assert_eq!(texts.lines().find(unknown), None);
    for part in [
        "strings: \"core::num::wrapping_add\"",
        "unit: NANOSECONDS",
        "kind: KERNEL",
        "state: UNKNOWN_NAME",
        "event: \"cpu-clock\"",
        "exit_code: 0",
        "samples: 8",
    ] {
        assert!(texts.contains(part), "{part:?} is missing from:\n{texts}");
    }
}
