//! Each broken reference is found, and named by table and row.

use hotproof_profile::*;

use crate::maker::{Maker, USER};

/// One row in every table, all references whole.
fn whole() -> Profile {
    let mut m = Maker::new();
    let f = m.function("f", Some(USER));
    let location = m.location(&[f]);
    let stack = m.stack(&[location, location]);
    m.sample(Some(stack), [1, 1]);
    let mut p = m.profile;
    p.mappings.push(Mapping {
        process: Some(ProcessId(0)),
        start: 0,
        end: 1,
        file_offset: 0,
        image: m.image,
        from_ns: 0,
        to_ns: None,
    });
    let symbol = Symbol {
        image: m.image,
        linkage_name: StringId(0),
        address: 0,
        size: 0,
    };
    p.locations[location].symbol = Some(p.symbols.push(symbol));
    p
}

#[test]
fn a_whole_profile_is_valid() {
    assert_eq!(whole().validate(), Ok(()));
    assert_eq!(Profile::default().validate(), Ok(()));
}

/// What to break, and the table and the missing thing that the error names.
type Case = (fn(&mut Profile), &'static str, &'static str);

#[test]
fn every_reference_is_checked() {
    const NO: u32 = 1000;
    let cases: [Case; 29] = [
        (
            |p| p.processes[ProcessId(0)].name = StringId(NO),
            "process",
            "a text",
        ),
        (
            |p| p.threads[ThreadId(0)].name = StringId(NO),
            "thread",
            "a text",
        ),
        (
            |p| p.threads[ThreadId(0)].process = ProcessId(NO),
            "thread",
            "a process",
        ),
        (
            |p| p.images[ImageId(0)].path = StringId(NO),
            "image",
            "a text",
        ),
        (
            |p| p.mappings[MappingId(0)].image = ImageId(NO),
            "mapping",
            "an image",
        ),
        (
            |p| p.mappings[MappingId(0)].process = Some(ProcessId(NO)),
            "mapping",
            "a process",
        ),
        (
            |p| p.symbols[SymbolId(0)].image = ImageId(NO),
            "symbol",
            "an image",
        ),
        (
            |p| p.symbols[SymbolId(0)].linkage_name = StringId(NO),
            "symbol",
            "a text",
        ),
        (
            |p| p.functions[FunctionId(0)].name = StringId(NO),
            "function",
            "a text",
        ),
        (
            |p| p.functions[FunctionId(0)].linkage_name = StringId(NO),
            "function",
            "a text",
        ),
        (
            |p| p.functions[FunctionId(0)].file = Some(StringId(NO)),
            "function",
            "a text",
        ),
        (
            |p| p.functions[FunctionId(0)].image = Some(ImageId(NO)),
            "function",
            "an image",
        ),
        (
            |p| p.frames[FrameId(0)].function = FunctionId(NO),
            "frame",
            "a function",
        ),
        (
            |p| p.frames[FrameId(0)].file = Some(StringId(NO)),
            "frame",
            "a text",
        ),
        (
            |p| p.locations[LocationId(0)].frames = 0..NO,
            "location",
            "a frame",
        ),
        (
            |p| p.locations[LocationId(0)].frames.start = 2,
            "location",
            "a frame",
        ),
        (
            |p| p.locations[LocationId(0)].image = Some(ImageId(NO)),
            "location",
            "an image",
        ),
        (
            |p| p.locations[LocationId(0)].symbol = Some(SymbolId(NO)),
            "location",
            "a symbol",
        ),
        (
            |p| p.stacks[StackId(0)].location = LocationId(NO),
            "stack",
            "a location",
        ),
        (
            |p| p.stacks[StackId(1)].parent = Some(StackId(1)),
            "stack",
            "an earlier stack",
        ),
        (
            |p| p.stacks[StackId(0)].parent = Some(StackId(1)),
            "stack",
            "an earlier stack",
        ),
        (|p| p.samples.thread[0] = ThreadId(NO), "sample", "a thread"),
        (
            |p| p.samples.stack[0] = Some(StackId(NO)),
            "sample",
            "a stack",
        ),
        (
            |p| p.samples.time_ns.clear(),
            "sample",
            "columns of equal length",
        ),
        (
            |p| p.samples.stack.push(None),
            "sample",
            "columns of equal length",
        ),
        (
            |p| p.samples.cpu.clear(),
            "sample",
            "columns of equal length",
        ),
        (
            |p| p.samples.end.push(StackEnd::Complete),
            "sample",
            "columns of equal length",
        ),
        (
            |p| p.samples.weights[1].clear(),
            "sample",
            "columns of equal length",
        ),
        (
            |p| p.weights.truncate(1),
            "sample",
            "columns of equal length",
        ),
    ];
    for (row, (break_it, table, what)) in cases.into_iter().enumerate() {
        let mut profile = whole();
        break_it(&mut profile);
        let error = profile.validate().expect_err("a broken reference is found");
        assert_eq!(
            (error.table, error.what),
            (table, what),
            "case {row}: {error}"
        );
    }
}

#[test]
fn the_error_names_the_first_broken_row() {
    let mut profile = whole();
    profile.stacks[StackId(1)].location = LocationId(9);
    let error = profile.validate().unwrap_err();
    assert_eq!(
        error,
        InvalidProfile {
            table: "stack",
            row: 1,
            what: "a location"
        }
    );
    let text = "stack row 1 refers to a location, which the profile does not have";
    assert_eq!(error.to_string(), text);
}

#[test]
fn weights_that_cannot_be_added_up_are_refused() {
    for weights in [[i64::MIN, 0], [i64::MAX, 1], [i64::MAX, -1]] {
        let mut profile = whole();
        let row = profile.samples.len();
        for weight in weights {
            let sample = Sample {
                thread: ThreadId(0),
                time_ns: 0,
                stack: None,
                weights: &[0, weight],
                cpu: None,
                end: StackEnd::Complete,
                labels: None,
            };
            Sink::sample(&mut profile, &sample).unwrap();
        }
        let error = profile.validate().unwrap_err();
        assert_eq!(
            error.what, "weights whose sum fits in 64 bits",
            "{weights:?}"
        );
        assert!(error.row >= row - 1, "{error}");
    }
}

#[test]
fn labels_that_refer_to_nothing_are_refused() {
    let mut profile = whole();
    profile.samples.labels[0] = Some(LabelSetId(0));
    assert_eq!(profile.validate().unwrap_err().what, "a label set");
    let key = StringId(profile.strings.len() as u32);
    profile.labels.intern(&[Label {
        key,
        value: LabelValue::Text(StringId(0)),
    }]);
    let error = profile.validate().unwrap_err();
    assert_eq!((error.table, error.what), ("label set", "a text"));
}
