//! Programs compiled into a folder that vanishes with the test.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hotproof_image::ImageFile;
use hotproof_symbolizer::{NamedAddress, Symbolizer};

/// A folder for sources and programs.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Scratch(tempfile::tempdir().expect("a scratch folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The folder's own path without symbolic links, as compilers write it.
    pub(crate) fn real(&self, name: &str) -> String {
        let folder = self.0.path().canonicalize().expect("the folder exists");
        folder.join(name).to_str().expect("UTF-8").to_owned()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a source file");
        path
    }

    /// Runs a tool in the folder; the test fails when it fails.
    pub(crate) fn run(&self, command: &str) {
        let mut words = command.split_whitespace();
        let program = words.next().expect("a program");
        let output = Command::new(program)
            .args(words)
            .current_dir(self.0.path())
            .output()
            .unwrap_or_else(|error| panic!("{program} is needed: {error}"));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {told}");
    }
}

/// The line of `source` that holds `marker`, counted from 1.
pub(crate) fn line_of(source: &str, marker: &str) -> u32 {
    let mut lines = source.lines();
    let index = lines.position(|line| line.contains(marker));
    index.unwrap_or_else(|| panic!("no line holds {marker}")) as u32 + 1
}

/// Every `step`th address of `.text`, with what is known of it.
pub(crate) fn name_text(program: &Path, step: usize) -> Vec<(u64, NamedAddress)> {
    let image = ImageFile::open(program).expect("a program");
    let text = image.section_svma(".text").expect("code");
    let base = image.base_svma();
    let addresses: Vec<u64> = text.step_by(step).map(|svma| svma - base).collect();
    let named = Symbolizer::new().symbolize_addresses(program, &addresses);
    addresses.into_iter().zip(named.expect("answers")).collect()
}

/// A function of a chain as `addr2line -f -i` prints it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Printed {
    pub(crate) function: String,
    /// The file's last component.
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
}

/// The chains by binutils, innermost first, for addresses as linked.
pub(crate) fn addr2line(program: &Path, addresses: &[u64]) -> Vec<Vec<Printed>> {
    let mut child = Command::new("addr2line")
        .args(["-a", "-f", "-i", "-e"])
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("binutils are needed");
    let mut input = child.stdin.take().expect("a pipe");
    let text: String = addresses
        .iter()
        .map(|address| format!("{address:#x}\n"))
        .collect();
    // Both pipes can fill up, so the questions are written beside the reading of the answers.
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("addr2line ends");
    writer.join().expect("no panic").expect("addr2line reads");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut chains: Vec<Vec<Printed>> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("0x") {
            chains.push(Vec::new());
            continue;
        }
        let place = lines.next().expect("a place follows a name");
        let place = place.split(" (discriminator").next().expect("a part");
        let (file, number) = place.rsplit_once(':').expect("file:line");
        let file = file.rsplit('/').next().filter(|&file| file != "??");
        chains.last_mut().expect("an address first").push(Printed {
            function: line.to_owned(),
            file: file.map(str::to_owned),
            line: number.parse().ok().filter(|&line| line > 0),
        });
    }
    assert_eq!(chains.len(), addresses.len());
    chains
}
