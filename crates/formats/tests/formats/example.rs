//! A small profile made by hand, with one of everything that formats have to carry.

use hotproof_profile::*;

/// Two processes, three threads, four images, an inlined frame, names that need escapes, a cut
/// stack, a failed one, a sample without a stack, recursion, and unnamed code.
pub(crate) fn profile() -> Profile {
    let mut p = Profile {
        meta: meta(),
        weights: vec![
            weight("samples", Unit::Count),
            weight("cpu", Unit::Nanoseconds),
        ],
        ..Profile::default()
    };
    p.samples.weights = vec![Vec::new(), Vec::new()];
    let threads = add_threads(&mut p);
    let images = add_images(&mut p);
    let stacks = add_code(&mut p, images);
    let rows = [
        (threads[0], Some(stacks[0]), StackEnd::Complete),
        (threads[0], Some(stacks[0]), StackEnd::Complete),
        (threads[0], Some(stacks[1]), StackEnd::Complete),
        (threads[1], Some(stacks[0]), StackEnd::Complete),
        (threads[1], Some(stacks[2]), StackEnd::Truncated),
        (threads[2], Some(stacks[3]), StackEnd::Failed),
        (threads[2], Some(stacks[4]), StackEnd::Complete),
        (threads[2], None, StackEnd::Failed),
    ];
    for (row, (thread, stack, end)) in (0u32..).zip(rows) {
        let sample = Sample {
            thread,
            time_ns: 1_000_000 * u64::from(row),
            stack,
            weights: &[1, 1_001_001],
            cpu: (row != 4).then_some(row % 2),
            end,
            labels: None,
        };
        Sink::sample(&mut p, &sample).unwrap();
    }
    p.validate().unwrap();
    p
}

fn weight(name: &str, unit: Unit) -> Weight {
    Weight {
        name: name.into(),
        unit,
    }
}

fn meta() -> Meta {
    Meta {
        command: vec!["./bench".into(), "--size 3".into()],
        started_unix_ns: Some(1_700_000_000_000_000_000),
        duration_ns: 8_500_000,
        clock: "monotonic".into(),
        event: "cpu-clock".into(),
        period: None,
        rate_hz: Some(999),
        rung: "perf events, user only".into(),
        unwinder: "registers and 31 KiB of stack, unwound by CFI".into(),
        cpu_time_ns: Some(8_008_008),
        counters: vec![Counter {
            name: "page-faults".to_owned(),
            unit: Unit::Count,
            value: 1_204,
            counted: 1.0,
        }],
        recorder_cpu_ns: Some(12_345),
        exit: Some(Exit::Code(0)),
        lost: Lost {
            samples: 2,
            records: 1,
            throttled: 0,
        },
        host: Host {
            arch: "x86_64".into(),
            kernel: "6.18.0".into(),
            cpu_model: "test".into(),
            cpus: 2,
        },
        notes: vec!["no hardware counter: cpu-clock was used".into()],
    }
}

fn add_threads(p: &mut Profile) -> [ThreadId; 3] {
    let [bench, worker, child] =
        ["bench", "worker 2", "sh;\n\\"].map(|name| p.strings.intern(name));
    let main = p.processes.push(Process {
        pid: 100,
        name: bench,
        start_ns: 0,
        end_ns: Some(8_000_000),
    });
    let other = p.processes.push(Process {
        pid: 102,
        name: child,
        start_ns: 5,
        end_ns: None,
    });
    [(main, 100, bench), (main, 101, worker), (other, 102, child)].map(|(process, tid, name)| {
        p.threads.push(Thread {
            process,
            tid,
            name,
            start_ns: 0,
            end_ns: None,
        })
    })
}

/// The program, libc, the kernel, and a library that nobody mapped.
fn add_images(p: &mut Profile) -> [ImageId; 4] {
    let images = [
        ("/usr/lib/libc.so.6", vec![0xab, 0x01], ImageKind::Elf),
        ("/home/u/bench", vec![0x12, 0x34, 0xff], ImageKind::Elf),
        ("[kernel]", Vec::new(), ImageKind::Kernel),
        ("/home/u/plugin.so", Vec::new(), ImageKind::Elf),
    ]
    .map(|(path, build_id, kind)| {
        let path = p.strings.intern(path);
        p.images.push(Image {
            path,
            build_id,
            kind,
        })
    });
    let process = Some(ProcessId(0));
    for (process, image, start, size, file_offset) in [
        (None, images[2], 0xffff_ffff_8000_0000, 0x4000_0000, 0),
        (process, images[1], 0x5555_0000_1000, 0x3000, 0x1000),
        (process, images[0], 0x7f00_0002_8000, 0x15_0000, 0x2_8000),
        (
            Some(ProcessId(1)),
            images[0],
            0x7e00_0002_8000,
            0x15_0000,
            0x2_8000,
        ),
    ] {
        p.mappings.push(Mapping {
            process,
            start,
            end: start + size,
            file_offset,
            image,
            from_ns: 0,
            to_ns: None,
        });
    }
    images
}

/// `main > sum (with the inlined closure)`, recursion of `fib` with an unnamed libc leaf, a cut
/// stack, code in no mapping, and a kernel leaf.
fn add_code(p: &mut Profile, [libc, bench, kernel, plugin]: [ImageId; 4]) -> [StackId; 5] {
    let main = add_function(
        p,
        "bench::main",
        "_ZN5bench4main17h0E",
        Some(("/home/u/src/main.rs", 3)),
        bench,
    );
    let sum = add_function(
        p,
        "<[u8; 4] as bench::Sum>::sum",
        "_RNvXs_",
        Some(("/home/u/src/sum.rs", 10)),
        bench,
    );
    let add = add_function(
        p,
        "core::num::wrapping_add",
        "",
        Some(("/rustc/abc/library/core/src/num.rs", 77)),
        bench,
    );
    let fib = add_function(p, "fib", "fib", None, bench);
    let sys = add_function(p, "do_syscall_64", "do_syscall_64", None, kernel);
    let symbol = p.symbols.push(Symbol {
        image: bench,
        linkage_name: p.functions[sum].linkage_name,
        address: 0x1200,
        size: 0x80,
    });
    let in_main = add_location(p, Some(bench), 0x1105, &[(main, Some(5))]);
    let in_sum = add_location(p, Some(bench), 0x1234, &[(add, Some(80)), (sum, Some(12))]);
    p.locations[in_sum].symbol = Some(symbol);
    p.locations[in_sum].kind = AddressKind::Ip;
    let in_fib = add_location(p, Some(bench), 0x1300, &[(fib, None)]);
    let in_libc = add_location(p, Some(libc), 0x2_9000, &[]);
    let in_plugin = add_location(p, Some(plugin), 0x40, &[]);
    let nowhere = add_location(p, None, 0xdead, &[]);
    let in_kernel = add_location(p, Some(kernel), 0xffff_ffff_8100_0010, &[(sys, None)]);
    let root = p.stacks.push(Stack {
        parent: None,
        location: in_main,
    });
    let mut child = |parent, location| p.stacks.push(Stack { parent, location });
    let summing = child(Some(root), in_sum);
    let fib1 = child(Some(root), in_fib);
    let fib2 = child(Some(fib1), in_fib);
    let recursive = child(Some(fib2), in_libc);
    let cut = child(None, in_plugin);
    let lost = child(None, nowhere);
    let system = child(Some(root), in_kernel);
    [summing, recursive, cut, lost, system]
}

fn add_function(
    p: &mut Profile,
    name: &str,
    linkage_name: &str,
    place: Option<(&str, u32)>,
    image: ImageId,
) -> FunctionId {
    let row = Function {
        name: p.strings.intern(name),
        linkage_name: p.strings.intern(linkage_name),
        file: place.map(|(file, _)| p.strings.intern(file)),
        line: place.map(|(_, line)| line),
        image: Some(image),
        source: Source::Dwarf,
    };
    p.functions.push(row)
}

fn add_location(
    p: &mut Profile,
    image: Option<ImageId>,
    address: u64,
    frames: &[(FunctionId, Option<u32>)],
) -> LocationId {
    let row = Location::unresolved(image, address, AddressKind::ReturnAddress);
    let id = p.locations.push(row);
    let frame = |&(function, line)| Frame {
        function,
        line,
        column: line.map(|_| 9),
        file: None,
        contradicted: false,
    };
    let frames: Vec<Frame> = frames.iter().map(frame).collect();
    p.set_frames(id, &frames);
    id
}
