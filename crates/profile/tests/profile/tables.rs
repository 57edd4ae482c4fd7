//! Tables, texts, and the profile as a sink.

use hotproof_profile::*;
use proptest::prelude::*;

use crate::maker::{Maker, USER};

#[test]
fn rows_have_ids_in_the_order_in_which_they_were_added() {
    let mut table: Table<StackId, char> = Table::default();
    assert!(table.is_empty());
    assert_eq!([table.push('a'), table.push('b')], [StackId(0), StackId(1)]);
    table[StackId(1)] = 'c';
    assert_eq!(table.rows(), ['a', 'c']);
    assert_eq!(
        table.iter().collect::<Vec<_>>(),
        [(StackId(0), &'a'), (StackId(1), &'c')]
    );
    assert_eq!(
        table.ids().rev().collect::<Vec<_>>(),
        [StackId(1), StackId(0)]
    );
    assert_eq!(
        (table.get(StackId(1)), table.get(StackId(2))),
        (Some(&'c'), None)
    );
}

proptest! {
    #[test]
    fn equal_texts_have_equal_ids(texts in prop::collection::vec("[a-c]{0,2}", 0..30)) {
        let mut strings = Strings::default();
        let ids: Vec<StringId> = texts.iter().map(|text| strings.intern(text)).collect();
        for (text, &id) in texts.iter().zip(&ids) {
            prop_assert_eq!(&strings[id], text.as_str());
            prop_assert_eq!(strings.find(text), Some(id));
            prop_assert_eq!(strings.get(id), Some(text.as_str()));
        }
        let unique: std::collections::BTreeSet<&String> = texts.iter().collect();
        prop_assert_eq!(strings.len(), unique.len());
        prop_assert_eq!(strings.iter().count(), strings.len());
        prop_assert_eq!(strings.find("never added"), None);
        prop_assert_eq!(strings.get(StringId::from_index(strings.len())), None);
    }
}

#[test]
fn a_sink_takes_ends_and_names_after_the_rows() {
    let mut m = Maker::new();
    let name = m.profile.string("renamed").unwrap();
    m.profile.thread_named(m.thread, name).unwrap();
    m.profile.thread_ended(m.thread, 7).unwrap();
    m.profile.process_ended(ProcessId(0), 9).unwrap();
    let meta = Meta {
        event: "cpu-clock".into(),
        ..Meta::default()
    };
    m.profile.meta(meta.clone()).unwrap();
    let thread = &m.profile.threads[m.thread];
    assert_eq!((thread.name, thread.end_ns), (name, Some(7)));
    assert_eq!(m.profile.processes[ProcessId(0)].end_ns, Some(9));
    assert_eq!(m.profile.meta, meta);
}

#[test]
fn a_sample_fills_one_row_of_each_column() {
    let mut m = Maker::new();
    let f = m.function("f", Some(USER));
    let f = m.location(&[f]);
    let stack = Some(m.stack(&[f]));
    let sample = Sample {
        thread: m.thread,
        time_ns: 5,
        stack,
        weights: &[1, 1000],
        cpu: Some(3),
        end: StackEnd::Truncated,
        labels: None,
    };
    Sink::sample(&mut m.profile, &sample).unwrap();
    let samples = &m.profile.samples;
    assert_eq!(samples.len(), 1);
    assert_eq!(
        (samples.thread[0], samples.time_ns[0], samples.stack[0]),
        (m.thread, 5, stack)
    );
    assert_eq!(
        (samples.cpu[0], samples.end[0]),
        (Some(3), StackEnd::Truncated)
    );
    assert_eq!(samples.weights, [[1], [1000]]);
}

#[test]
fn equal_label_sets_have_equal_ids_and_unequal_ones_do_not() {
    let mut p = Profile::default();
    let [key, value, unit] = ["key", "value", "bytes"].map(|text| p.strings.intern(text));
    let text = Label {
        key,
        value: LabelValue::Text(value),
    };
    let number = |unit| Label {
        key,
        value: LabelValue::Number { value: 7, unit },
    };
    let first = p.label_set(&[text, number(None)]).unwrap();
    assert_eq!(p.label_set(&[text, number(None)]).unwrap(), first);
    assert_ne!(p.label_set(&[number(None), text]).unwrap(), first);
    assert_ne!(p.label_set(&[text, number(Some(unit))]).unwrap(), first);
    assert_eq!(p.labels[first], [text, number(None)]);
    assert_eq!(p.labels.len(), 3);
    assert!(p.labels.get(LabelSetId(3)).is_none());
}
