//! Transformations, by example and over arbitrary valid profiles.

use std::collections::BTreeMap;

use hotproof_profile::transform::*;
use hotproof_profile::*;
use proptest::prelude::*;

use crate::arbitrary::profile;
use crate::maker::{Maker, USER};

fn transform() -> Transform<'static> {
    Transform::default()
}

fn sums(profile: &Profile) -> Vec<i64> {
    (0..profile.weights.len())
        .map(|column| profile.total_weight(column))
        .collect()
}

/// Total weight by name, rows of one name together.
fn totals(profile: &Profile) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for row in profile.code_totals(0, Inline::Expand) {
        *sums.entry(profile.code_name(row.code)).or_default() += row.total;
    }
    sums
}

/// The names on the stacks, root first, with the first weight, one entry a sample.
fn stacks(profile: &Profile) -> Vec<(String, i64)> {
    let names = |stack| {
        let mut names: Vec<String> = profile
            .path(stack)
            .flat_map(|location| profile.code_at(location, Inline::Expand))
            .map(|code| profile.code_name(code))
            .collect();
        names.reverse();
        names.join(" ")
    };
    let weights = &profile.samples.weights[0];
    let rows = profile.samples.stack.iter().zip(weights);
    rows.map(|(&stack, &weight)| (names(stack), weight))
        .collect()
}

fn texts(profile: &Profile) -> Vec<String> {
    stacks(profile).into_iter().map(|(text, _)| text).collect()
}

/// `main` calls `work`, into which `inner` is inlined, twice; once it calls `leaf` from there, and
/// once `idle`; the last sample has no stack.
fn example() -> Profile {
    let mut maker = Maker::new();
    let mut function = |name| maker.function(name, Some(USER));
    let [main, work, inner, leaf, idle] =
        ["main", "work", "inner", "leaf", "idle"].map(&mut function);
    let main = maker.location(&[main]);
    let work = maker.location(&[inner, work]);
    let leaf = maker.location(&[leaf]);
    let idle = maker.location(&[idle]);
    let stacks = [
        maker.stack(&[main, work]),
        maker.stack(&[main, work, work]),
        maker.stack(&[main, work, leaf]),
        maker.stack(&[idle]),
    ];
    for (index, stack) in stacks.into_iter().enumerate() {
        maker.sample(Some(stack), [1 << index, 1000]);
    }
    maker.sample(None, [16, 1000]);
    maker.profile
}

fn names(pattern: &'static str) -> impl Fn(&str) -> bool {
    move |name| name == pattern
}

#[test]
fn hidden_frames_leave_their_samples() {
    let hide = |name: &str| matches!(name, "inner" | "idle");
    let out = Transform {
        hide: Some(&hide),
        ..transform()
    }
    .apply(example())
    .unwrap();
    assert_eq!(
        texts(&out),
        [
            "main work",
            "main work work",
            "main work leaf",
            "[hidden]",
            ""
        ]
    );
}

#[test]
fn only_shown_frames_stay() {
    let show = |name: &str| matches!(name, "work" | "leaf");
    let out = Transform {
        show: Some(&show),
        ..transform()
    }
    .apply(example())
    .unwrap();
    assert_eq!(
        texts(&out),
        ["work", "work work", "work leaf", "[hidden]", ""]
    );
}

#[test]
fn pruning_starts_at_the_match_nearest_to_the_leaf() {
    let from = names("work");
    let out = Transform {
        prune_from: Some(&from),
        ..transform()
    }
    .apply(example())
    .unwrap();
    assert_eq!(
        texts(&out),
        ["main work", "main work inner work", "main work", "idle", ""]
    );
}

#[test]
fn focus_and_ignore_see_inlined_and_hidden_frames() {
    let (focus, hide) = (names("inner"), names("inner"));
    let both = Transform {
        focus: Some(&focus),
        hide: Some(&hide),
        ..transform()
    };
    assert_eq!(
        texts(&both.apply(example()).unwrap()),
        ["main work", "main work work", "main work leaf"]
    );
    let out = Transform {
        ignore: Some(&focus),
        ..transform()
    }
    .apply(example())
    .unwrap();
    assert_eq!(texts(&out), ["idle", ""]);
    assert_eq!(
        out.meta.notes.last().unwrap(),
        "ignore keeps 2 of 5 samples"
    );
    assert_eq!(out.meta.cpu_time_ns, None);
}

#[test]
fn physical_reversed_and_grouped_frames() {
    let physical = Transform {
        inline: Inline::Physical,
        ..transform()
    };
    assert_eq!(texts(&physical.rewrite(example()))[1], "main work work");
    let reversed = Transform {
        direction: Direction::Reversed,
        ..transform()
    };
    assert_eq!(
        texts(&reversed.rewrite(example()))[2],
        "leaf inner work main"
    );
    let threads = Transform {
        group: Some(Group::Thread),
        ..transform()
    };
    let out = threads.rewrite(example());
    assert_eq!(texts(&out)[0], "thread bench main work inner");
    assert_eq!(texts(&out)[4], "thread bench");
    let images = Transform {
        group: Some(Group::Image),
        ..transform()
    };
    assert_eq!(texts(&images.rewrite(example()))[2], "[bench]");
}

/// Frames under their process, and runs of neighbouring ones as one of their crate or file.
#[test]
fn frames_are_gathered_by_process_crate_and_file() {
    let mut profile = example();
    let registry = "/h/.cargo/registry/src/index-1f/serde-1.0.2/src/lib.rs";
    let places = [
        ("main", "demo::main", Some("src/main.rs")),
        ("work", "<demo::Work as Run>::run", Some("src/work.rs")),
        ("inner", "from_str", Some(registry)),
        ("leaf", "memcpy", None),
        ("idle", "idle", None),
    ];
    let mut functions = Vec::new();
    for row in profile.functions.rows() {
        let name = profile.strings[row.name].to_owned();
        let place = places.iter().find(|(of, ..)| *of == name);
        functions.push(place.map(|(_, name, file)| (*name, *file)));
    }
    for (id, place) in profile
        .functions
        .ids()
        .collect::<Vec<_>>()
        .into_iter()
        .zip(functions)
    {
        let Some((name, file)) = place else { continue };
        let (name, file) = (
            profile.strings.intern(name),
            file.map(|file| profile.strings.intern(file)),
        );
        let row = &mut profile.functions[id];
        (row.name, row.file) = (name, file);
    }
    let by = |group| {
        let grouped = Transform {
            group: Some(group),
            ..transform()
        };
        texts(&grouped.rewrite(profile.clone()))
    };
    assert_eq!(
        by(Group::Crate),
        [
            "demo serde".to_owned(),
            "demo serde demo serde".to_owned(),
            "demo serde [bench]".to_owned(),
            "[bench]".to_owned(),
            String::new(),
        ]
    );
    assert_eq!(
        by(Group::File),
        [
            format!("src/main.rs src/work.rs {registry}"),
            format!("src/main.rs src/work.rs {registry} src/work.rs {registry}"),
            format!("src/main.rs src/work.rs {registry} [bench]"),
            "[bench]".to_owned(),
            String::new(),
        ]
    );
    let processes = by(Group::Process);
    assert_eq!(processes[3..], ["process bench idle", "process bench"]);
    assert!(processes[0].starts_with("process bench demo::main "));
}

#[test]
fn what_is_not_there_is_refused_with_what_is() {
    let error = |transform: Transform<'_>| transform.apply(example()).unwrap_err().to_string();
    let weight = error(Transform {
        weight: Some("cycles"),
        ..transform()
    });
    assert_eq!(
        weight,
        "the profile has no weight `cycles`; it has cpu, samples"
    );
    let thread = error(Transform {
        thread: Some("x"),
        ..transform()
    });
    assert_eq!(thread, "the profile has no thread `x`; it has bench");
    let process = error(Transform {
        process: Some("7"),
        ..transform()
    });
    assert_eq!(process, "the profile has no process `7`; it has bench");
}

#[test]
fn a_window_counts_from_the_first_sample() {
    let mut profile = example();
    profile.samples.time_ns = vec![1000, 1010, 1020, 1030, 1040];
    profile.meta.duration_ns = 50;
    let window = Window {
        from_ns: 10,
        to_ns: 30,
    };
    let out = within(profile.clone(), window).unwrap();
    assert_eq!(out.samples.time_ns, [1010, 1020]);
    assert_eq!(out.meta.duration_ns, 20);
    profile.samples.time_ns = vec![0; 5];
    let error = within(profile, window).unwrap_err();
    assert_eq!(error, TransformError::NoTimes { samples: 5 });
}

#[test]
fn unlike_profiles_do_not_merge() {
    let other = |change: &dyn Fn(&mut Profile)| {
        let mut second = example();
        change(&mut second);
        merge(vec![example(), second]).unwrap_err().to_string()
    };
    let event = other(&|p| p.meta.event = "cycles".into());
    assert!(event.contains("profile 2") && event.contains("event") && event.contains("`cycles`"));
    let rate = other(&|p| p.meta.rate_hz = Some(99));
    assert!(
        rate.contains("period or rate") && rate.contains("99 Hz"),
        "{rate}"
    );
    for (what, change) in [
        (
            "architecture",
            (|p| p.meta.host.arch = "other".into()) as fn(&mut Profile),
        ),
        ("CPU", |p| p.meta.host.cpu_model = "other".into()),
        ("number of CPUs", |p| p.meta.host.cpus = 77),
        ("kernel", |p| p.meta.host.kernel = "other".into()),
    ] {
        let known = |mut profile: Profile| {
            let host = &mut profile.meta.host;
            (host.arch, host.cpu_model) = ("here".into(), "here".into());
            (host.kernel, host.cpus) = ("here".into(), 2);
            profile
        };
        let mut second = known(example());
        change(&mut second);
        let refused = merge(vec![example(), known(example()), second]);
        let refused = refused.unwrap_err().to_string();
        let text = format!("profile 2 and profile 3 do not add up: the {what} is ");
        assert!(refused.contains(&text), "{refused}");
    }
    let weights = other(&|p| p.weights[0].unit = Unit::Bytes);
    assert!(weights.contains("samples (Count)") && weights.contains("samples (Bytes)"));
}

/// Recordings that are put together while they are made are what merging them would be.
#[test]
fn a_series_is_what_merging_makes() {
    let sent = |profile: &Profile| {
        let mut out = Profile::default();
        profile.send_to(&mut out).unwrap();
        out
    };
    let (first, mut second) = (sent(&example()), sent(&example()));
    second
        .locations
        .push(Location::unresolved(None, 0x99, AddressKind::Ip));
    second.meta.notes.push("another".to_owned());
    let mut out = Profile::default();
    let mut series = Series::new(&mut out);
    for profile in [&first, &second, &first] {
        profile.send_to(&mut series).unwrap();
    }
    let mut unlike = first.clone();
    unlike.meta.event = "cycles".to_owned();
    let refused = unlike.send_to(&mut series).unwrap_err();
    assert!(refused.to_string().contains("profile 4"), "{refused}");
    series.end().unwrap();
    assert_eq!(out, merge(vec![first.clone(), second, first]).unwrap());
}

#[test]
fn merged_code_is_one_row() {
    let out = merge(vec![example(), example()]).unwrap();
    assert_eq!(out.functions.len(), example().functions.len());
    assert_eq!(out.locations.len(), example().locations.len());
    assert_eq!(out.samples.len(), 10);
}

/// Profiles of one command are its runs; of unlike ones, or without a command, they are profiles.
#[test]
fn runs_of_one_command_are_called_runs() {
    let of = |command: &[&str]| {
        let mut profile = example();
        profile.meta.command = command.iter().map(|word| (*word).to_owned()).collect();
        profile
    };
    let note = |profiles| merge(profiles).unwrap().meta.notes[0].clone();
    assert_eq!(
        note(vec![of(&["a", "1"]), of(&["a", "1"])]),
        "2 runs were merged"
    );
    for unlike in [[of(&["a", "1"]), of(&["a", "2"])], [of(&[]), of(&[])]] {
        assert_eq!(note(unlike.into()), "2 profiles were merged");
    }
}

/// Forty runs had forty lines of one note; what differs in more than numbers stays apart.
#[test]
fn one_note_of_many_runs_is_told_once() {
    let of = |note: String| {
        let mut profile = example();
        profile.meta.notes = vec![note];
        profile
    };
    let notes = |notes: Vec<String>| {
        let profiles = notes.into_iter().map(of).collect();
        merge(profiles).unwrap().meta.notes[1..].to_vec()
    };
    let cut = |count: u32| format!("{count} of 9 stacks were cut, {count}.5 % of all.");
    let many = notes(vec![cut(3), cut(4), cut(3), cut(5)]);
    let first = "3 of 9 stacks were cut, 3.5 % of all.";
    assert_eq!(
        many,
        [format!(
            "{first} (2 more notes like it, with other numbers)"
        )]
    );
    assert_eq!(notes(vec![cut(3), cut(4)]), [cut(3), cut(4)]);
    let files = [
        "no symbols in liba.so.1",
        "no symbols in liba.so.2",
        "other",
    ];
    let files = files.map(str::to_owned).to_vec();
    assert_eq!(notes(files.clone()), files);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn rewriting_keeps_weights_samples_and_validity(p in profile(), pick in 0usize..10) {
        let hit = |name: &str| name.len() % 2 == 1;
        let transform = match pick {
            0 => Transform { hide: Some(&hit), ..transform() },
            1 => Transform { show: Some(&hit), ..transform() },
            2 => Transform { prune_from: Some(&hit), ..transform() },
            3 => Transform { inline: Inline::Physical, ..transform() },
            4 => Transform { direction: Direction::Reversed, ..transform() },
            5 => Transform { group: Some(Group::Thread), ..transform() },
            6 => Transform { group: Some(Group::Image), ..transform() },
            7 => Transform { group: Some(Group::Crate), ..transform() },
            8 => Transform { group: Some(Group::File), ..transform() },
            _ => Transform { paths: Paths::Strip, ..transform() },
        };
        let out = transform.rewrite(p.clone());
        prop_assert!(out.validate().is_ok(), "{:?}", out.validate());
        prop_assert_eq!(sums(&out), sums(&p));
        prop_assert_eq!(out.samples.len(), p.samples.len());
        prop_assert_eq!(&out.samples.time_ns, &p.samples.time_ns);
        prop_assert_eq!(&transform.rewrite(p.clone()), &out, "not deterministic");
    }

    #[test]
    fn focus_and_ignore_part_the_samples(p in profile()) {
        let hit = |name: &str| name.len() % 3 == 1;
        let focus = Transform { focus: Some(&hit), ..transform() }.apply(p.clone()).unwrap();
        let ignore = Transform { ignore: Some(&hit), ..transform() }.apply(p.clone()).unwrap();
        prop_assert_eq!(focus.samples.len() + ignore.samples.len(), p.samples.len());
        let both: Vec<i64> = sums(&focus).iter().zip(sums(&ignore)).map(|(a, b)| a + b).collect();
        prop_assert_eq!(both, sums(&p));
        prop_assert!(focus.validate().is_ok() && ignore.validate().is_ok());
    }

    #[test]
    fn a_profile_reversed_twice_is_the_same_stacks(p in profile()) {
        prop_assume!(!p.weights.is_empty());
        let reverse = Transform { direction: Direction::Reversed, ..transform() };
        let once = reverse.rewrite(p.clone());
        prop_assert_eq!(stacks(&reverse.rewrite(once.clone())), stacks(&p));
        prop_assert_eq!(totals(&once), totals(&p));
    }

    #[test]
    fn merging_adds_up(p in profile(), parts in 2usize..4) {
        // Weights of the generator can be added up twenty at a time.
        let mut p = p;
        for column in &mut p.samples.weights {
            for weight in column {
                *weight /= 4;
            }
        }
        let out = merge(vec![p.clone(); parts]).unwrap();
        prop_assert!(out.validate().is_ok());
        let expected: Vec<i64> = sums(&p).iter().map(|sum| sum * parts as i64).collect();
        prop_assert_eq!(sums(&out), expected);
        prop_assert!(out.functions.len() <= p.functions.len());
        prop_assert!(out.locations.len() <= p.locations.len());
        if !p.weights.is_empty() {
            let one = stacks(&p);
            prop_assert_eq!(stacks(&out), vec![one; parts].concat());
        }
    }

    #[test]
    fn hiding_all_or_showing_nothing_leaves_one_frame(p in profile()) {
        prop_assume!(!p.weights.is_empty());
        let all = |_: &str| true;
        let nothing = |_: &str| false;
        for transform in [
            Transform { hide: Some(&all), ..transform() },
            Transform { show: Some(&nothing), ..transform() },
        ] {
            let left = texts(&transform.rewrite(p.clone()));
            prop_assert!(left.iter().all(|text| text.is_empty() || text == "[hidden]"));
        }
        let out = Transform { hide: Some(&nothing), show: Some(&all), ..transform() };
        prop_assert_eq!(stacks(&out.rewrite(p.clone())), stacks(&p));
    }
}
