//! JSON documents against the published schemas.

use crate::fixture::{empty, pairs, parser, poor};
use hotproof_report::{compare, confirm, difference, functions, schema, stat};
use serde_json::{Value, json};

/// The document is valid, and it is no longer valid with any member of any object missing, or
/// with a member more anywhere.
fn hold(schema: &str, document: &str) {
    let schema: Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let document: Value = serde_json::from_str(document).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    for pointer in objects(&document, "") {
        let members: Vec<String> = object(&document, &pointer).keys().cloned().collect();
        for member in members {
            let mut less = document.clone();
            object_mut(&mut less, &pointer).remove(&member);
            assert!(
                !validator.is_valid(&less),
                "{pointer}/{member} may be missing"
            );
        }
        let mut more = document.clone();
        object_mut(&mut more, &pointer).insert("surprise".into(), json!(1));
        assert!(
            !validator.is_valid(&more),
            "{pointer} may have more members"
        );
    }
}

fn object<'a>(document: &'a Value, pointer: &str) -> &'a serde_json::Map<String, Value> {
    document.pointer(pointer).unwrap().as_object().unwrap()
}

fn object_mut<'a>(
    document: &'a mut Value,
    pointer: &str,
) -> &'a mut serde_json::Map<String, Value> {
    document
        .pointer_mut(pointer)
        .unwrap()
        .as_object_mut()
        .unwrap()
}

/// Pointers of all objects of a document; of a long list, the first three.
fn objects(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let below = members
                .iter()
                .flat_map(|(name, value)| objects(value, &format!("{at}/{name}")));
            std::iter::once(at.to_owned()).chain(below).collect()
        }
        Value::Array(items) => items
            .iter()
            .take(3)
            .enumerate()
            .flat_map(|(index, value)| objects(value, &format!("{at}/{index}")))
            .collect(),
        _ => Vec::new(),
    }
}

#[test]
fn report_documents_hold_to_their_schema() {
    let focused = functions::Options {
        focus: Some(regex::Regex::new("number").unwrap()),
        ..functions::Options::default()
    };
    let options = functions::Options::default();
    for profile in [parser(), poor(), empty()] {
        for options in [&options, &focused] {
            hold(schema::REPORT, &functions::json(&profile, options).unwrap());
        }
    }
}

#[test]
fn symbolize_cache_and_doctor_documents_hold_to_their_schemas() {
    use hotproof_report::{cache, doctor, symbolize};
    let frame = symbolize::Frame {
        name: "work".to_owned(),
        linkage_name: "_Z4workv".to_owned(),
        source: "dwarf",
        file: Some("/w/a.cc".to_owned()),
        line: Some(7),
        column: None,
        declared_file: None,
        declared_line: None,
        contradicted: false,
    };
    let known = symbolize::Address {
        address: 0x1139,
        symbol: Some(symbolize::Symbol {
            linkage_name: "_Z4workv".to_owned(),
            address: 0x1130,
            size: 16,
            aliases: vec!["alias".to_owned()],
        }),
        frames: vec![frame],
    };
    let image = symbolize::Image {
        path: "/bin/x",
        build_id: &[0xab],
        problems: &["it is cut".to_owned()],
    };
    let found = [known, symbolize::Address::default()];
    hold(schema::SYMBOLIZE, &symbolize::json(image, &found));

    let content = cache::Content {
        image: "/bin/x".to_owned(),
        build_id: Vec::new(),
        section: Some(".debug_info".to_owned()),
        names: 3,
    };
    let entry = |content| cache::Entry {
        content,
        size_bytes: 100,
        unused_s: 5,
    };
    let facts = cache::Facts {
        folder: "/cache".to_owned(),
        limit_bytes: 1 << 20,
        entries: vec![entry(Some(content)), entry(None)],
        builds: cache::Builds {
            limit_bytes: 1 << 30,
            entries: [None, Some("target/release/x".to_owned())]
                .map(|program| cache::Build {
                    name: "ab-00".to_owned(),
                    program,
                    build_s: 2,
                    size_bytes: 100,
                    unused_s: 5,
                })
                .to_vec(),
        },
    };
    let cleared = cache::Cleared::default();
    hold(schema::CACHE, &cache::json(Some(&facts), Some(cleared)));
    hold(schema::CACHE, &cache::json(None, None));

    let patient = doctor::Patient {
        image: "/bin/x".to_owned(),
        build_id: Some("ab".to_owned()),
        samples: 3,
        leaf_samples: 1,
        names: Some("dynsym"),
        debug_file: None,
        lacking: true,
        findings: vec!["it has no debug information".to_owned()],
        remedies: vec!["install x-dbgsym".to_owned()],
        looked_at: vec!["/usr/lib/debug/x".to_owned()],
    };
    hold(schema::DOCTOR, &doctor::json(3, &[patient]));
}

#[test]
fn diff_documents_hold_to_their_schema() {
    let profiles = [&parser(), &poor()];
    let options = difference::Options::default();
    let normalize = difference::Normalize::Total;
    let value = difference::difference(profiles[0], profiles[1], normalize).unwrap();
    hold(schema::DIFF, &difference::json(profiles, &value, &options));
}

#[test]
fn compare_documents_hold_to_their_schema() {
    for (_, comparison) in pairs::all() {
        let conclusion = hotproof_diff::conclude(&comparison);
        hold(schema::COMPARE, &compare::json(&comparison, &conclusion));
    }
}

#[test]
fn confirm_documents_hold_to_their_schema() {
    let profile = parser();
    for pattern in ["parse::number", "lex::number", "number", "nonesuch"] {
        let answer = confirm::answer(&[&profile], pattern, confirm::FLOOR).unwrap();
        hold(schema::CONFIRM, &confirm::json(&[answer]));
    }
    let nothing = confirm::answer(&[&empty()], "number", confirm::FLOOR).unwrap();
    hold(schema::CONFIRM, &confirm::json(&[nothing]));
}

#[test]
fn stat_documents_hold_to_their_schema() {
    let series = |values: Vec<u64>| stat::Series {
        name: "instructions".to_owned(),
        unit: hotproof_profile::Unit::Instructions,
        values,
        counted: 0.5,
    };
    let command = ["true".to_owned()];
    let notes = ["a note".to_owned()];
    for values in [vec![7], vec![7, 9]] {
        let facts = stat::StatFacts {
            command: &command,
            runs: values.len(),
            series: &[series(values)],
            notes: &notes,
        };
        hold(schema::STAT, &stat::json(&facts));
    }
}
