//! The script that stands in for the linker, and a linker that can shuffle.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::order::Pieces;
use crate::build::Place;
use crate::cargo;
use crate::error::LabError;

const SCRIPT: &str = include_str!("link.sh");
/// The name for rustc, which takes any name that begins with `ld` for a bare linker.
const FOR_RUSTC: &str = "hotproof-link";
/// The names that compilers look for.
const FOR_COMPILERS: [&str; 5] = ["ld", "ld.lld", "ld.gold", "ld.bfd", "ld.mold"];

/// The script, ready to use.
#[derive(Debug, Clone)]
pub(crate) struct Linker {
    folder: PathBuf,
    layouts: u32,
    /// `rustc`'s own name of this machine, in a variable of cargo's: `X86_64_UNKNOWN_LINUX_GNU`.
    triple: Option<String>,
    /// What rustc links with otherwise.
    compiler: OsString,
    /// A linker that shuffles, for what compilers link.
    shuffler: Option<PathBuf>,
}

impl Linker {
    /// Writes the script into a folder, whose path does not change from one comparison to the next
    /// where builds are kept: cargo builds again what another linker linked.
    ///
    /// # Errors
    /// When it cannot be written, or cargo's settings name a linker in a way that is not read.
    pub(crate) fn write(folder: &Path, layouts: u32, user: &Path) -> Result<Linker, LabError> {
        let names = FOR_COMPILERS.map(|name| folder.join("ld").join(name));
        for path in names.iter().chain([&folder.join(FOR_RUSTC)]) {
            write_script(path).map_err(|source| LabError::File {
                action: "write",
                path: path.clone(),
                source,
            })?;
        }
        let triple = host(user);
        let compiler = compiler(user, triple.as_deref())?;
        Ok(Linker {
            folder: folder.to_owned(),
            layouts,
            triple: triple.map(|triple| triple.to_uppercase().replace('-', "_")),
            compiler,
            shuffler: shuffler(user),
        })
    }

    /// What makes cargo and compilers use the script while they build in a checkout.
    pub(crate) fn variables(&self, place: &Place) -> Vec<(OsString, OsString)> {
        let mut variables: Vec<(OsString, OsString)> = vec![
            ("HOTPROOF_CC".into(), self.compiler.clone()),
            ("HOTPROOF_LAYOUTS".into(), self.layouts.to_string().into()),
            ("HOTPROOF_LINKS".into(), super::links_of(place).into()),
        ];
        if let Some(triple) = &self.triple {
            let name = format!("CARGO_TARGET_{triple}_LINKER");
            variables.push((name.into(), self.folder.join(FOR_RUSTC).into()));
        }
        let Some(shuffler) = &self.shuffler else {
            return variables;
        };
        variables.push(("HOTPROOF_LD".into(), shuffler.into()));
        // gcc and clang look there first for the linker.
        let mut path = self.folder.join("ld").into_os_string();
        if let Some(theirs) = std::env::var_os("COMPILER_PATH").filter(|it| !it.is_empty()) {
            path.push(":");
            path.push(&theirs);
            variables.push(("HOTPROOF_COMPILER_PATH".into(), theirs));
        }
        variables.push(("COMPILER_PATH".into(), path));
        variables
    }
}

fn write_script(path: &Path) -> std::io::Result<()> {
    if fs::read(path).is_ok_and(|there| there == SCRIPT.as_bytes()) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // By rename, since another comparison may be running the one that is there.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut file, SCRIPT.as_bytes())?;
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(0o755))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The answer of a tool where the user stands; `None` when there is none.
fn answer(user: &Path, program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    cargo::clean(&mut command);
    let output = command.args(arguments).current_dir(user).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn host(user: &Path) -> Option<String> {
    let version = answer(user, "rustc", &["-vV"])?;
    let line = version.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned)
}

/// What rustc would link with: as the environment or cargo's settings say, else `cc`.
fn compiler(user: &Path, triple: Option<&str>) -> Result<OsString, LabError> {
    let Some(triple) = triple else {
        return Ok("cc".into());
    };
    let name = triple.to_uppercase().replace('-', "_");
    if let Some(linker) = std::env::var_os(format!("CARGO_TARGET_{name}_LINKER")) {
        return Ok(linker);
    }
    for file in cargo::settings_files(user) {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match linker_in(&text, triple) {
            Some(Setting::Named(linker)) if linker.contains('/') => {
                // Relative to the folder that holds `.cargo`.
                let folder = file.parent().and_then(Path::parent);
                return Ok(folder.unwrap_or(Path::new("")).join(linker).into());
            }
            Some(Setting::Named(linker)) => return Ok(linker.into()),
            Some(Setting::ByCondition) => {
                return Err(LabError::NoLayouts {
                    place: file.display().to_string(),
                    reason: format!(
                        "it names a linker under a `cfg(...)`, which is not read; name it under [target.{triple}]"
                    ),
                });
            }
            None => {}
        }
    }
    Ok("cc".into())
}

/// A linker in cargo's settings.
#[derive(Debug, PartialEq, Eq)]
enum Setting {
    Named(String),
    ByCondition,
}

/// The linker that a file of cargo's settings names for a target: `linker = "..."` in its table.
/// Read line by line: the few other ways to spell a table of TOML are not used for this.
fn linker_in(text: &str, triple: &str) -> Option<Setting> {
    let mut table = "";
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            table = name.split(']').next().unwrap_or_default().trim();
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        if key.trim() != "linker" || !table.starts_with("target.") {
            continue;
        }
        let target = table["target.".len()..].trim_matches(['"', '\'']);
        let value = value.split('#').next().unwrap_or_default().trim();
        if target == triple {
            return Some(Setting::Named(value.trim_matches(['"', '\'']).to_owned()));
        }
        if target.starts_with("cfg(") {
            found = Some(Setting::ByCondition);
        }
    }
    found
}

/// A linker that shuffles sections: lld of the system, or the one that comes with Rust.
fn shuffler(user: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join("ld.lld"));
    let of_rust = || {
        let root = answer(user, "rustc", &["--print", "sysroot"])?;
        let host = host(user)?;
        Some(PathBuf::from(root).join(format!("lib/rustlib/{host}/bin/gcc-ld/ld.lld")))
    };
    let mut known = in_path.chain(std::iter::once_with(of_rust).flatten());
    known.find(|linker| linker.is_file())
}

const HOW_TO_GET_ONE: &str = "lld can: install it (apt-get install lld) and link with -fuse-ld=lld, or use Rust 1.90 or later, which brings one";

/// Why there is nothing to shuffle.
pub(crate) fn nothing_linked() -> String {
    format!(
        "its build linked no program that hotproof could see: scripts have no layout, and linkers are seen behind cargo, gcc and clang, where there is one that shuffles sections ({HOW_TO_GET_ONE})"
    )
}

/// Why the linker's own words are no layout.
pub(crate) fn cannot_shuffle(text: &str) -> String {
    let words = text
        .lines()
        .find(|line| line.contains("shuffle-sections"))
        .or_else(|| text.lines().find(|line| line.contains("error")))
        .or_else(|| text.lines().next())
        .unwrap_or("it said nothing");
    format!(
        "its linker cannot shuffle sections: {}; {HOW_TO_GET_ONE}",
        words.trim()
    )
}

/// Why the layouts of a program are not those of the program that runs.
pub(crate) fn changed_later(program: &Path) -> String {
    format!(
        "{} was changed after it was linked (stripped, patched?), and its other layouts would not be; leave that step out of the build",
        program.display()
    )
}

/// Why shuffling did nothing.
pub(crate) fn all_the_same() -> String {
    "shuffling its sections changed nothing: each function needs a section of its own (compile C and C++ with -ffunction-sections)".to_owned()
}

/// Why the layouts of a program show less than they could.
pub(crate) fn together(program: &str, Pieces { functions, pieces }: Pieces) -> String {
    let piece = if pieces == 1 { "piece" } else { "pieces" };
    format!(
        "--layouts moved the {functions} functions of {program} in {pieces} {piece} only, so that what their place does is seen in part: each function needs a section of its own (compile C and C++ with -ffunction-sections)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linker_of_the_settings_is_found() {
        let triple = "x86_64-unknown-linux-gnu";
        let cases = [
            ("[build]\nlinker = \"x\"\n", None),
            (
                "[target.x86_64-unknown-linux-gnu]\nlinker = \"clang\" # fast\n",
                Some(Setting::Named("clang".to_owned())),
            ),
            (
                "[target.'cfg(target_os = \"linux\")']\nlinker = 'clang'\n",
                Some(Setting::ByCondition),
            ),
            ("[target.aarch64-unknown-linux-gnu]\nlinker='x'\n", None),
        ];
        for (text, expected) in cases {
            assert_eq!(linker_in(text, triple), expected, "{text}");
        }
    }

    #[test]
    fn a_refusal_holds_the_linker_s_own_words() {
        let text = "collect2: note\n/usr/bin/ld: unrecognized option '--shuffle-sections=.text*=1'\ncollect2: error: ld returned 1 exit status\n";
        let said = cannot_shuffle(text);
        assert!(said.contains("unrecognized option"), "{said}");
        assert!(said.contains("apt-get install lld"), "{said}");
    }
}
