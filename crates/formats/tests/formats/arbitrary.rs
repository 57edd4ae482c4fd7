//! Arbitrary valid profiles, extreme numbers included.

use hotproof_profile::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Row numbers are drawn freely and brought into range when the rows are put together.
type Pick = u32;
type RawMapping = (Option<Pick>, u64, u64, u64, Pick, u64, Option<u64>);
type RawFunction = (Pick, Pick, Option<Pick>, Option<u32>, Option<Pick>, Source);
type RawFrame = (Pick, Option<u32>, Option<u32>, Option<Pick>, bool);
type RawLocation = (
    Option<Pick>,
    u64,
    AddressKind,
    Option<Pick>,
    Pick,
    Pick,
    LocationState,
);
type RawSample = (
    Pick,
    u64,
    Option<Pick>,
    Option<u32>,
    StackEnd,
    Option<Pick>,
    [i64; 3],
);
/// Key, text or else number, unit.
type RawLabel = (Pick, Option<Pick>, i64, Option<Pick>);

#[derive(Debug, Clone)]
struct Raw {
    meta: Meta,
    weights: Vec<(String, Unit)>,
    texts: Vec<String>,
    processes: Vec<(u32, Pick, u64, Option<u64>)>,
    threads: Vec<(Pick, u32, Pick, u64, Option<u64>)>,
    images: Vec<(Pick, Vec<u8>, ImageKind)>,
    mappings: Vec<RawMapping>,
    symbols: Vec<(Pick, Pick, u64, u64)>,
    functions: Vec<RawFunction>,
    frames: Vec<RawFrame>,
    locations: Vec<RawLocation>,
    stacks: Vec<(Option<Pick>, Pick)>,
    label_sets: Vec<Vec<RawLabel>>,
    foreign: Option<Foreign>,
    samples: Vec<RawSample>,
}

/// Small numbers, any numbers, and the ends of the range.
fn wide() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![0..9u64, any::<u64>(), Just(u64::MAX), Just(1 << 63)]
}

fn narrow() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![0..9u32, any::<u32>(), Just(u32::MAX)]
}

/// Twenty of them can be added up.
fn signed() -> impl Strategy<Value = i64> + Clone {
    const LARGE: i64 = i64::MAX / 20;
    prop_oneof![Just(1), -LARGE..=LARGE, Just(-LARGE), Just(LARGE)]
}

fn maybe<S: Strategy + Clone>(strategy: S) -> impl Strategy<Value = Option<S::Value>> {
    proptest::option::of(strategy)
}

fn text() -> impl Strategy<Value = String> + Clone {
    prop_oneof!["[a-c]{0,3}", r"[ ;\\\n\r0-9._a-b]{0,6}", any::<String>()]
}

fn unit() -> impl Strategy<Value = Unit> {
    use Unit::*;
    proptest::sample::select(vec![Count, Nanoseconds, Bytes, Cycles, Instructions])
}

fn image_kind() -> impl Strategy<Value = ImageKind> {
    use ImageKind::*;
    proptest::sample::select(vec![Elf, Vdso, Kernel, Module, Jit, Anonymous])
}

fn source() -> impl Strategy<Value = Source> {
    proptest::sample::select(Source::ALL.to_vec())
}

fn address_kind() -> impl Strategy<Value = AddressKind> {
    use AddressKind::*;
    proptest::sample::select(vec![Ip, ReturnAddress, Adjusted])
}

fn state() -> impl Strategy<Value = LocationState> {
    use LocationState::*;
    proptest::sample::select(vec![Unresolved, Resolved, Unknown])
}

fn stack_end() -> impl Strategy<Value = StackEnd> {
    use StackEnd::*;
    proptest::sample::select(vec![Complete, Truncated, Failed, Unknown, Stitched])
}

fn exit() -> impl Strategy<Value = Option<Exit>> {
    prop_oneof![
        Just(None),
        any::<i32>().prop_map(|code| Some(Exit::Code(code))),
        any::<i32>().prop_map(|signal| Some(Exit::Signal(signal))),
    ]
}

fn counter() -> impl Strategy<Value = Counter> {
    (text(), unit(), wide(), 0..=4u8).prop_map(|(name, unit, value, quarters)| Counter {
        name,
        unit,
        value,
        counted: f64::from(quarters) / 4.0,
    })
}

fn meta() -> impl Strategy<Value = Meta> {
    let texts = (text(), text(), text(), text(), text(), text(), text());
    let numbers = (wide(), wide(), wide(), wide(), narrow());
    let maybes = (
        maybe(wide()),
        maybe(wide()),
        maybe(wide()),
        maybe(wide()),
        maybe(wide()),
    );
    let lists = (vec(text(), 0..3), vec(text(), 0..3), vec(counter(), 0..3));
    (texts, numbers, maybes, lists, exit()).prop_map(|(texts, numbers, maybes, lists, exit)| Meta {
        command: lists.0,
        started_unix_ns: maybes.0,
        duration_ns: numbers.0,
        clock: texts.0,
        event: texts.1,
        period: maybes.1,
        rate_hz: maybes.2,
        rung: texts.2,
        unwinder: texts.3,
        cpu_time_ns: maybes.3,
        counters: lists.2,
        recorder_cpu_ns: maybes.4,
        exit,
        lost: Lost {
            samples: numbers.1,
            records: numbers.2,
            throttled: numbers.3,
        },
        host: Host {
            arch: texts.4,
            kernel: texts.5,
            cpu_model: texts.6,
            cpus: numbers.4,
        },
        notes: lists.1,
    })
}

prop_compose! {
    fn foreign()(
        doc_url in text(),
        default_weight in text(),
        drop_frames in text(),
        keep_frames in text(),
        period_unit in maybe(text()),
        weight_units in vec(text(), 0..3),
        images in vec(any::<[bool; 4]>(), 0..3),
    ) -> Foreign {
        let claims = |[functions, files, lines, inlines]: [bool; 4]| Claims { functions, files, lines, inlines };
        let images = images.into_iter().map(claims).collect();
        Foreign { doc_url, default_weight, drop_frames, keep_frames, period_unit, weight_units, images }
    }
}

fn raw() -> impl Strategy<Value = Raw> {
    let pick = narrow;
    let world = (
        vec((narrow(), pick(), wide(), maybe(wide())), 0..4),
        vec((pick(), narrow(), pick(), wide(), maybe(wide())), 0..4),
        vec((pick(), vec(any::<u8>(), 0..4), image_kind()), 0..4),
        vec(
            (
                maybe(pick()),
                wide(),
                wide(),
                wide(),
                pick(),
                wide(),
                maybe(wide()),
            ),
            0..4,
        ),
    );
    let code = (
        vec((pick(), pick(), wide(), wide()), 0..4),
        vec(
            (
                pick(),
                pick(),
                maybe(pick()),
                maybe(narrow()),
                maybe(pick()),
                source(),
            ),
            0..5,
        ),
        vec(
            (
                pick(),
                maybe(narrow()),
                maybe(narrow()),
                maybe(pick()),
                any::<bool>(),
            ),
            0..6,
        ),
        vec(
            (
                maybe(pick()),
                wide(),
                address_kind(),
                maybe(pick()),
                pick(),
                pick(),
                state(),
            ),
            0..6,
        ),
        vec((maybe(pick()), pick()), 0..8),
    );
    let sample = (
        pick(),
        wide(),
        maybe(pick()),
        maybe(narrow()),
        stack_end(),
        maybe(pick()),
        [signed(), signed(), signed()],
    );
    let weights = vec((text(), unit()), 0..4);
    let texts = vec(text(), 0..6);
    let label = (pick(), maybe(pick()), any::<i64>(), maybe(pick()));
    let more = (vec(vec(label, 0..3), 0..4), proptest::option::of(foreign()));
    (
        meta(),
        weights,
        texts,
        world,
        code,
        vec(sample, 0..20),
        more,
    )
        .prop_map(|(meta, weights, texts, world, code, samples, more)| Raw {
            meta,
            label_sets: more.0,
            foreign: more.1,
            weights,
            texts,
            processes: world.0,
            threads: world.1,
            images: world.2,
            mappings: world.3,
            symbols: code.0,
            functions: code.1,
            frames: code.2,
            locations: code.3,
            stacks: code.4,
            samples,
        })
}

/// Any profile that `validate` accepts.
pub(crate) fn profile() -> impl Strategy<Value = Profile> {
    raw().prop_map(|raw| build(&raw))
}

/// The id that was picked; `None` when the table is empty.
fn id<I: Id>(pick: Pick, len: usize) -> Option<I> {
    (len > 0).then(|| I::from_index(pick as usize % len))
}

/// Puts rows together table by table; rows whose reference nothing can satisfy are left out.
fn build(raw: &Raw) -> Profile {
    let mut p = Profile {
        meta: raw.meta.clone(),
        ..Profile::default()
    };
    p.weights = raw
        .weights
        .iter()
        .map(|(name, unit)| Weight {
            name: name.clone(),
            unit: *unit,
        })
        .collect();
    p.samples.weights = vec![Vec::new(); p.weights.len()];
    for text in &raw.texts {
        p.strings.intern(text);
    }
    build_world(&mut p, raw);
    build_code(&mut p, raw);
    p.foreign = raw.foreign.clone();
    build_labels(&mut p, raw);
    for &(thread, time_ns, stack, cpu, end, labels, weights) in &raw.samples {
        let Some(thread) = id(thread, p.threads.len()) else {
            continue;
        };
        let stack = stack.and_then(|stack| id(stack, p.stacks.len()));
        let weights = &weights[..p.weights.len()];
        let sample = Sample {
            thread,
            time_ns,
            stack,
            weights,
            cpu,
            end,
            labels: labels.and_then(|set| id(set, p.labels.len())),
        };
        Sink::sample(&mut p, &sample).unwrap();
    }
    p.validate().unwrap();
    p
}

fn build_labels(p: &mut Profile, raw: &Raw) {
    let texts = p.strings.len();
    for set in &raw.label_sets {
        let label = |&(key, text, value, unit): &RawLabel| {
            let value = match text {
                Some(text) => LabelValue::Text(id(text, texts)?),
                None => LabelValue::Number {
                    value,
                    unit: unit.and_then(|unit| id(unit, texts)),
                },
            };
            let key = id(key, texts)?;
            Some(Label { key, value })
        };
        let set: Vec<Label> = set.iter().filter_map(label).collect();
        p.labels.intern(&set);
    }
}

fn build_world(p: &mut Profile, raw: &Raw) {
    let texts = p.strings.len();
    for &(pid, name, start_ns, end_ns) in &raw.processes {
        let Some(name) = id(name, texts) else {
            continue;
        };
        p.processes.push(Process {
            pid,
            name,
            start_ns,
            end_ns,
        });
    }
    for &(process, tid, name, start_ns, end_ns) in &raw.threads {
        let ids = id(process, p.processes.len()).zip(id(name, texts));
        let Some((process, name)) = ids else { continue };
        p.threads.push(Thread {
            process,
            tid,
            name,
            start_ns,
            end_ns,
        });
    }
    for (path, build_id, kind) in &raw.images {
        let Some(path) = id(*path, texts) else {
            continue;
        };
        p.images.push(Image {
            path,
            build_id: build_id.clone(),
            kind: *kind,
        });
    }
    for &(process, start, end, file_offset, image, from_ns, to_ns) in &raw.mappings {
        let Some(image) = id(image, p.images.len()) else {
            continue;
        };
        let process = process.and_then(|process| id(process, p.processes.len()));
        p.mappings.push(Mapping {
            process,
            start,
            end,
            file_offset,
            image,
            from_ns,
            to_ns,
        });
    }
}

fn build_code(p: &mut Profile, raw: &Raw) {
    let (texts, images) = (p.strings.len(), p.images.len());
    for &(image, name, address, size) in &raw.symbols {
        let Some((image, linkage_name)) = id(image, images).zip(id(name, texts)) else {
            continue;
        };
        p.symbols.push(Symbol {
            image,
            linkage_name,
            address,
            size,
        });
    }
    for &(name, linkage_name, file, line, image, source) in &raw.functions {
        let ids = id(name, texts).zip(id(linkage_name, texts));
        let Some((name, linkage_name)) = ids else {
            continue;
        };
        let file = file.and_then(|file| id(file, texts));
        let image = image.and_then(|image| id(image, images));
        p.functions.push(Function {
            name,
            linkage_name,
            file,
            line,
            image,
            source,
        });
    }
    for &(function, line, column, file, contradicted) in &raw.frames {
        let Some(function) = id(function, p.functions.len()) else {
            continue;
        };
        let file = file.and_then(|file| id(file, texts));
        p.frames.push(Frame {
            function,
            line,
            column,
            file,
            contradicted,
        });
    }
    let frames = p.frames.len() as u32;
    for &(image, address, kind, symbol, first, count, state) in &raw.locations {
        let start = first % (frames + 1);
        let end = start + count % (frames - start + 1);
        p.locations.push(Location {
            image: image.and_then(|image| id(image, images)),
            address,
            kind,
            symbol: symbol.and_then(|symbol| id(symbol, p.symbols.len())),
            frames: start..end,
            state,
        });
    }
    for &(parent, location) in &raw.stacks {
        let Some(location) = id(location, p.locations.len()) else {
            continue;
        };
        let parent = parent.and_then(|parent| id(parent, p.stacks.len()));
        p.stacks.push(Stack { parent, location });
    }
}
