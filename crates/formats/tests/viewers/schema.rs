//! Our own JSON is what its schema says.

use hotproof_formats::json;
use proptest::prelude::*;
use serde_json::Value;

use crate::{arbitrary, bytes_of, example};

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(json::SCHEMA).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn document(profile: &hotproof_profile::Profile) -> Value {
    serde_json::from_slice(&bytes_of("json", profile, 0)).unwrap()
}

#[test]
fn the_example_follows_the_schema() {
    let document = document(&example::profile());
    let errors: Vec<String> = validator()
        .iter_errors(&document)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert_eq!(document["schema"]["name"], "hotproof.profile");
    assert_eq!(document["schema"]["version"], 1);
}

#[test]
fn the_schema_refuses_what_is_missing_or_new() {
    let validator = validator();
    let whole = document(&example::profile());
    for member in whole.as_object().unwrap().keys() {
        let mut broken = whole.clone();
        broken.as_object_mut().unwrap().remove(member);
        assert!(!validator.is_valid(&broken), "{member}");
    }
    let mut more = whole.clone();
    more["samples"][0]["extra"] = Value::Null;
    assert!(!validator.is_valid(&more));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_profile_follows_the_schema(profile in arbitrary::profile()) {
        prop_assert!(validator().is_valid(&document(&profile)));
    }
}
