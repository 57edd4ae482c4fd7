//! `hotproof symbolize` in the place of addr2line, and what `hotproof cache` shows of it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::run::{command, compile, finish, hotproof, skip};

const INLINED: &str = r#"
#include <stdio.h>
static volatile unsigned long sink;
static inline __attribute__((always_inline)) unsigned long inner(unsigned long x) {
    return x * 31 + sink;
}
static inline __attribute__((always_inline)) unsigned long middle(unsigned long x) {
    return inner(x) ^ inner(x + 1);
}
__attribute__((noinline)) unsigned long outer(unsigned long x) {
    unsigned long y = middle(x);
    sink = y;
    return y + 1;
}
int main(int argc, char **argv) {
    printf("%lu\n", outer((unsigned long)argc));
    return 0;
}
"#;

const TEMPLATES: &str = r#"
#include <cstdio>
namespace ns { struct Shape { double side; double area() const; }; }
double ns::Shape::area() const { return side * side; }
static volatile double sink;
template <typename T> __attribute__((noinline)) T square(T x) { return x * x + (T)sink; }
inline double twice(double x) { return square(x) + square(x + 1); }
int main(int argc, char **) {
    ns::Shape shape{twice(argc)};
    printf("%f\n", shape.area());
    return 0;
}
"#;

/// Every address of the code that debug information describes.
fn described(folder: &Path, program: &str) -> Vec<String> {
    let dump = Command::new("objdump")
        .args(["-d", "-j", ".text", program])
        .current_dir(folder)
        .output()
        .expect("binutils are there");
    let dump = String::from_utf8(dump.stdout).expect("text");
    let addresses: Vec<String> = dump
        .lines()
        .filter_map(|line| line.trim_start().split_once(":\t"))
        .map(|(address, _)| address.to_owned())
        .collect();
    let mut arguments = vec!["symbolize", "-e", program, "--json"];
    arguments.extend(addresses.iter().map(String::as_str));
    let json = hotproof(folder, &arguments).ends_with(0).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let rows = json["addresses"].as_array().expect("rows");
    let named = addresses.iter().zip(rows);
    let named = named.filter(|(_, row)| row["source"] == "dwarf");
    named.map(|(address, _)| address.clone()).collect()
}

fn has_addr2line(test: &str) -> bool {
    let there = Command::new("addr2line").arg("--version").output().is_ok();
    if !there {
        skip(test, "no addr2line");
    }
    there
}

#[test]
fn lines_are_those_of_addr2line_for_each_combination_of_flags() {
    if !has_addr2line("lines_are_those_of_addr2line_for_each_combination_of_flags") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    compile(folder, "inlined", INLINED);
    fs::write(folder.join("templates.cc"), TEMPLATES).unwrap();
    let mut compiler = Command::new("c++");
    compiler.args(["-O2", "-g", "-o", "templates", "templates.cc"]);
    finish(compiler.current_dir(folder)).ends_with(0);
    for program in ["inlined", "templates"] {
        let mut addresses = described(folder, program);
        assert!(addresses.len() > 15, "of {program}: {addresses:?}");
        addresses.extend(["0", "0x0", "ffffffffffffffff", ","].map(str::to_owned));
        for set in 0..64u32 {
            let letters = "afiCps".chars().enumerate();
            let flags: String = letters
                .filter(|(bit, _)| set >> bit & 1 == 1)
                .map(|(_, letter)| letter)
                .collect();
            let flags = (!flags.is_empty()).then(|| format!("-{flags}"));
            let flags = flags.as_deref();
            let mut theirs = Command::new("addr2line");
            theirs.args(["-e", program]).args(flags).args(&addresses);
            let theirs = finish(theirs.current_dir(folder)).ends_with(0).stdout;
            let theirs = without_discriminators(&theirs);
            let mut ours = command(folder, &["symbolize", "-e", program]);
            let ours = finish(ours.args(flags).args(&addresses))
                .ends_with(0)
                .stdout;
            assert_eq!(ours, theirs, "of {program} with {flags:?}");
        }
    }
}

/// They tell blocks of one line apart, which we do not.
fn without_discriminators(text: &str) -> String {
    let line = |line: &str| match line.find(" (discriminator ") {
        Some(start) => line[..start].to_owned() + "\n",
        None => line.to_owned() + "\n",
    };
    text.lines().map(line).collect()
}

#[test]
fn addresses_come_from_files_pipes_and_sections() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    compile(folder, "inlined", INLINED);
    let addresses = described(folder, "inlined");
    let mut given = command(folder, &["symbolize", "-e", "inlined", "-afi"]);
    let expected = finish(given.args(&addresses)).ends_with(0).stdout;
    assert!(expected.contains("inner\n"), "{expected}");

    let list = folder.join("list");
    fs::write(&list, addresses.join("\n")).unwrap();
    let mut from_file = command(folder, &["symbolize", "--exe=inlined", "-afi"]);
    from_file.stdin(fs::File::open(&list).unwrap());
    assert_eq!(finish(&mut from_file).ends_with(0).stdout, expected);

    let mut piped = Command::new("sh");
    let script = "cat list | \"$0\" symbolize -e inlined -a -f -i";
    piped.args(["-c", script, env!("CARGO_BIN_EXE_hotproof")]);
    piped.current_dir(folder).env("HOTPROOF_CACHE", "off");
    assert_eq!(finish(&mut piped).ends_with(0).stdout, expected);

    // From the start of the section the same function is at another number.
    let file = hotproof_image::ImageFile::open(&folder.join("inlined")).unwrap();
    let text = file.section_svma(".text").unwrap().start;
    let first = u64::from_str_radix(&addresses[0], 16).unwrap();
    let by_section = ["symbolize", "-e", "inlined", "-f", "-j", ".text"];
    let mut by_section = command(folder, &by_section);
    let by_section = finish(by_section.arg(format!("{:x}", first - text)));
    let plain = hotproof(folder, &["symbolize", "-e", "inlined", "-f", &addresses[0]]);
    assert_eq!(by_section.ends_with(0).stdout, plain.ends_with(0).stdout);
    let words = ["-a", "-j", ".text", "-e", "inlined", "10"];
    let ours = hotproof(folder, &[&["symbolize"][..], &words].concat()).ends_with(0);
    let theirs = finish(Command::new("addr2line").args(words).current_dir(folder)).ends_with(0);
    assert_eq!(
        ours.stdout, theirs.stdout,
        "an address is shown as it was asked"
    );
}

#[test]
fn whoever_keeps_the_pipe_open_is_answered_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    compile(folder, "inlined", INLINED);
    let addresses = described(folder, "inlined");
    let mut child = command(folder, &["symbolize", "-e", "inlined", "-i", "-f"]);
    let mut child = child
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut questions = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    // perf sends an address and then a mark, and reads until the mark is answered.
    for address in addresses.iter().take(5) {
        questions
            .write_all(format!("{address}\n,\n").as_bytes())
            .unwrap();
        let mut lines = Vec::new();
        while !lines.ends_with(&["??".to_owned(), "??:0".to_owned()]) {
            lines.push(answers.next().expect("an answer").unwrap());
        }
        assert!(lines.len() >= 4, "{lines:?}");
        assert!(
            lines.iter().any(|line| line.contains("inlined.c:")),
            "{lines:?}"
        );
    }
    drop(questions);
    assert!(child.wait().unwrap().success());
}

#[test]
fn perf_takes_it_for_addr2line() {
    let test = "perf_takes_it_for_addr2line";
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    compile(folder, "spin", crate::run::SPIN);
    let perf = |arguments: &[&str]| {
        Command::new("perf")
            .current_dir(folder)
            .args(arguments)
            .output()
    };
    let record = [
        "record",
        "-q",
        "-e",
        "cpu-clock:u",
        "-o",
        "perf.data",
        "./spin",
        "200",
    ];
    match perf(&record) {
        Err(error) => return skip(test, &format!("no perf: {error}")),
        Ok(output) if !output.status.success() => return skip(test, "perf may not record here"),
        Ok(_) => {}
    }
    let log = folder.join("asked");
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {}\nexport HOTPROOF_CACHE=off\nexec {} symbolize \"$@\"\n",
        log.display(),
        env!("CARGO_BIN_EXE_hotproof"),
    );
    let wrapper = folder.join("addr2line");
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    // perf runs what it finds under this name first.
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shown = Command::new("perf");
    shown.args(["script", "-i", "perf.data", "-F", "ip,sym,srcline"]);
    shown.current_dir(folder);
    let shown = shown
        .env("PATH", format!("{}:{path}", folder.display()))
        .output();
    let shown = shown.unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    if !log.exists() {
        return skip(test, "this perf reads debug information itself");
    }
    assert!(shown.contains("hot"), "{shown}");
    assert!(shown.contains("spin.c:7"), "{shown}");
}

#[test]
fn json_tells_sources_and_names_and_holds_to_its_schema() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    compile(folder, "inlined", INLINED);
    let addresses = described(folder, "inlined");
    let mut run = command(folder, &["symbolize", "-e", "inlined", "--json", "0"]);
    let json = finish(run.args(&addresses)).ends_with(0).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    let schema = serde_json::from_str(hotproof_report::schema::SYMBOLIZE).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    assert!(schema.is_valid(&json), "{json:#}");
    let rows = json["addresses"].as_array().unwrap();
    assert_eq!(rows[0]["source"], Value::Null);
    let deep = rows
        .iter()
        .find(|row| row["frames"].as_array().unwrap().len() == 3);
    let deep = deep.expect("inner in middle in outer");
    let names: Vec<&str> = deep["frames"]
        .as_array()
        .unwrap()
        .iter()
        .map(|frame| frame["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["inner", "middle", "outer"]);
    assert_eq!(deep["frames"][0]["declared"]["line"], 4);
    assert_eq!(deep["frames"][0]["inlined"], true);
    assert_eq!(deep["symbol"]["linkage_name"], "outer");
}

#[test]
fn errors_say_what_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("text"), "no program").unwrap();
    let whole = fs::read(compile(folder, "inlined", INLINED)).unwrap();
    fs::write(folder.join("cut"), &whole[..whole.len() / 2]).unwrap();
    let mut big = whole.clone();
    big[5] = 2;
    fs::write(folder.join("big"), big).unwrap();
    for (arguments, texts) in [
        (&["symbolize", "1"][..], &["a.out", "-e"][..]),
        (&["symbolize", "-e", "text", "1"], &["text", "ELF"]),
        (
            &["symbolize", "-e", "cut", "1"],
            &["cut or damaged", "build the file again"],
        ),
        (
            &["symbolize", "-e", "big", "1"],
            &["big-endian", "the machine of the file"],
        ),
        (
            &["symbolize", "-e", "inlined", "-j", ".nonesuch", "1"],
            &["no section .nonesuch"],
        ),
    ] {
        let ran = hotproof(folder, arguments).ends_with(2).says(texts);
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn names_are_kept_shown_and_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    compile(folder, "inlined", INLINED);
    let addresses = described(folder, "inlined");
    let with_cache = |arguments: &[&str]| {
        let mut run = command(folder, arguments);
        finish(run.env("HOTPROOF_CACHE", folder.join("kept"))).ends_with(0)
    };
    let mut arguments = vec!["symbolize", "-e", "inlined", "-afi"];
    arguments.extend(addresses.iter().map(String::as_str));
    let first = with_cache(&arguments).stdout;
    assert_eq!(with_cache(&arguments).stdout, first);
    let shown = || -> Value {
        let json = with_cache(&["cache", "--json"]).stdout;
        let json: Value = serde_json::from_str(&json).unwrap();
        let schema = serde_json::from_str(hotproof_report::schema::CACHE).unwrap();
        let schema = jsonschema::draft202012::new(&schema).unwrap();
        assert!(schema.is_valid(&json), "{json:#}");
        json
    };
    let entry = &shown()["cache"]["entries"][0];
    assert_eq!(entry["content"]["names"], addresses.len());
    let image = entry["content"]["image"].as_str().unwrap();
    assert!(
        image.starts_with('/') && image.ends_with("/inlined"),
        "{image}"
    );
    let table = with_cache(&["cache"]).stdout;
    assert!(
        table.contains("inlined") && table.contains("1 file"),
        "{table}"
    );
    let cleared = with_cache(&["cache", "--clear"]).stdout;
    assert!(cleared.starts_with("removed 1 entry"), "{cleared}");
    assert_eq!(shown()["cache"]["entries"], Value::Array(Vec::new()));
    let off = hotproof(folder, &["cache"]).ends_with(0).stdout;
    assert!(off.contains("no cache"), "{off}");
}

#[test]
fn two_at_once_and_places_that_cannot_be_written_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    compile(folder, "inlined", INLINED);
    let addresses = described(folder, "inlined");
    let run = |cache: &Path| {
        let mut run = command(folder, &["symbolize", "-e", "inlined", "-afi"]);
        run.args(&addresses).env("HOTPROOF_CACHE", cache);
        run
    };
    let expected = finish(&mut run(Path::new("off"))).ends_with(0).stdout;
    let shared = folder.join("shared");
    for _ in 0..5 {
        let children: Vec<_> = (0..4)
            .map(|_| run(&shared).stdout(Stdio::piped()).spawn().unwrap())
            .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        }
        let left = fs::read_dir(&shared).unwrap().count();
        assert_eq!(left, 1, "one entry, nothing half written");
        fs::remove_dir_all(&shared).unwrap();
    }
    // A folder that nobody can write to, whoever asks: names are right, and it is said.
    let ran = finish(&mut run(Path::new("/proc/hotproof"))).ends_with(0);
    assert_eq!(ran.stdout, expected);
    ran.says(&["names cannot be kept in /proc/hotproof", "HOTPROOF_CACHE"]);
}

#[test]
fn a_full_disk_costs_the_cache_alone() {
    let test = "a_full_disk_costs_the_cache_alone";
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    compile(folder, "inlined", INLINED);
    let addresses = described(folder, "inlined").join(" ");
    let disk = folder.join("disk");
    fs::create_dir(&disk).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=8k tmpfs {disk} || exit 99\n\
         head -c 8192 /dev/zero > {disk}/full\n\
         HOTPROOF_CACHE={disk}/cache {hotproof} symbolize -e inlined -afi {addresses}\n\
         status=$?; find {disk} -type f -size +0 >&2; exit $status",
        disk = disk.display(),
        hotproof = env!("CARGO_BIN_EXE_hotproof"),
    );
    let mut shell = Command::new("unshare");
    shell.args(["-m", "sh", "-c", &script]).current_dir(folder);
    let output = match shell.output() {
        Ok(output) if output.status.code() != Some(99) && output.status.code() != Some(1) => output,
        _ => return skip(test, "no small disk can be mounted here"),
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let mut plain = command(folder, &["symbolize", "-e", "inlined", "-afi"]);
    let expected = finish(plain.args(addresses.split(' '))).ends_with(0).stdout;
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert!(stderr.contains("names cannot be kept"), "{stderr}");
    assert!(
        !stderr.contains(".hotproof-names"),
        "nothing is left: {stderr}"
    );
}

#[test]
fn doctor_tells_what_is_missing_and_how_to_get_it() {
    let test = "doctor_tells_what_is_missing_and_how_to_get_it";
    if !crate::run::perf_opens(test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let program = compile(folder, "spin", crate::run::SPIN);
    let record = ["record", "-q", "-o", "p.hotproof", "--", "./spin", "100"];
    hotproof(folder, &record).ends_with(0);
    let look = || {
        let json = hotproof(folder, &["doctor", "p.hotproof", "--json"]);
        let json: Value = serde_json::from_str(&json.ends_with(0).stdout).unwrap();
        let schema = serde_json::from_str(hotproof_report::schema::DOCTOR).unwrap();
        let schema = jsonschema::draft202012::new(&schema).unwrap();
        assert!(schema.is_valid(&json), "{json:#}");
        let images = json["images"].as_array().unwrap().clone();
        let is_program = |row: &&Value| row["image"].as_str().unwrap().ends_with("/spin");
        images.iter().find(is_program).expect("the program").clone()
    };
    let whole = look();
    assert_eq!(
        (&whole["names"], &whole["lacking"]),
        (&"dwarf".into(), &false.into())
    );
    let report = hotproof(folder, &["report", "p.hotproof"])
        .ends_with(0)
        .stdout;
    assert!(
        report.contains("named by") && report.contains("dwarf"),
        "{report}"
    );

    finish(Command::new("strip").arg(&program)).ends_with(0);
    let stripped = look();
    assert_eq!(
        (&stripped["names"], &stripped["lacking"]),
        (&"eh_frame".into(), &true.into()),
        "its dynamic symbols are all imports"
    );
    let remedies = stripped["remedies"].to_string();
    assert!(
        remedies.contains("do not strip it") && remedies.contains("-g"),
        "{remedies}"
    );

    compile(folder, "spin", &crate::run::SPIN.replace("31", "33"));
    let rebuilt = look();
    assert_eq!(rebuilt["names"], Value::Null);
    assert!(
        rebuilt["findings"][0]
            .as_str()
            .unwrap()
            .contains("build-id"),
        "{rebuilt}"
    );

    fs::remove_file(&program).unwrap();
    let gone = look();
    assert!(
        gone["remedies"][0]
            .as_str()
            .unwrap()
            .contains("put the file back"),
        "{gone}"
    );
    let text = hotproof(folder, &["doctor", "p.hotproof"])
        .ends_with(0)
        .stdout;
    assert!(text.contains("could be named better"), "{text}");
}
