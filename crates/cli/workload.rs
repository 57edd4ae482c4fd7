//! The workloads that a project names in its `hotproof.toml`.

use std::ffi::OsString;
use std::path::Path;

use serde::Deserialize;

use crate::failure::{Code, Failure};

/// The file's name.
const FILE: &str = "hotproof.toml";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "workload")]
    workloads: Vec<Workload>,
}

/// A command with fixed work, by name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Workload {
    /// What people call it.
    pub(crate) name: String,
    command: Words,
    /// Builds it, by the shell; `None` leaves that to cargo where there is a `Cargo.toml`.
    pub(crate) build: Option<String>,
}

/// A command as a list of words, or as one text that is split as a shell would.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Words {
    List(Vec<String>),
    Text(String),
}

impl Workload {
    /// The program and its arguments.
    pub(crate) fn command(&self) -> Result<Vec<OsString>, Failure> {
        let words = match &self.command {
            Words::List(words) => Some(words.clone()),
            Words::Text(text) => shlex::split(text),
        };
        words
            .filter(|words| !words.is_empty())
            .map(to_os)
            .ok_or_else(|| {
                let what = format!(
                    "{FILE}: the command of workload `{}` is no command",
                    self.name
                );
                Failure::new(Code::Usage, what)
                    .remedy("write it as a list of words: command = [\"target/release/bench\"]")
            })
    }
}

fn to_os(words: Vec<String>) -> Vec<OsString> {
    words.into_iter().map(OsString::from).collect()
}

/// The workloads of the nearest `hotproof.toml` between `directory` and `top`; none without one.
pub(crate) fn load(directory: &Path, top: &Path) -> Result<Vec<Workload>, Failure> {
    for folder in directory.ancestors() {
        let path = folder.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => return parse(&text, &path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let what = format!("cannot read {}: {error}", path.display());
                return Err(Failure::new(Code::Usage, what));
            }
        }
        if folder == top {
            break;
        }
    }
    Ok(Vec::new())
}

fn parse(text: &str, path: &Path) -> Result<Vec<Workload>, Failure> {
    let file: Result<File, _> = toml::from_str(text);
    file.map(|file| file.workloads).map_err(|error| {
        let what = format!(
            "cannot read {}: {}",
            path.display(),
            error.to_string().trim_end()
        );
        Failure::new(Code::Usage, what)
            .remedy("give each [[workload]] a name, a command and, where needed, a build command")
    })
}

/// The workload called `name`, or the only one there is.
pub(crate) fn choose<'a>(
    workloads: &'a [Workload],
    name: Option<&str>,
) -> Result<Option<&'a Workload>, Failure> {
    let names = || {
        workloads
            .iter()
            .map(|w| w.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (name, workloads) {
        (Some(name), _) => workloads
            .iter()
            .find(|w| w.name == name)
            .map(Some)
            .ok_or_else(|| {
                let known = if workloads.is_empty() {
                    "none".to_owned()
                } else {
                    names()
                };
                Failure::new(
                    Code::Usage,
                    format!("there is no workload `{name}` in {FILE}"),
                )
                .read(format!("workloads: {known}"))
            }),
        (None, []) => Ok(None),
        (None, [only]) => Ok(Some(only)),
        (None, _) => Err(
            Failure::new(Code::Usage, format!("{FILE} names several workloads"))
                .read(format!("workloads: {}", names()))
                .remedy("choose one with --workload NAME, or give the command after `--`"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{choose, parse};
    use std::path::Path;

    fn load(text: &str) -> Vec<super::Workload> {
        parse(text, Path::new("hotproof.toml")).unwrap()
    }

    #[test]
    fn a_command_may_be_a_list_or_a_line_with_quotes() {
        let list = load("[[workload]]\nname='a'\ncommand=['x', 'y z']");
        let line = load("[[workload]]\nname='a'\ncommand=\"x 'y z'\"");
        assert_eq!(list[0].command().unwrap(), ["x", "y z"]);
        assert_eq!(line[0].command().unwrap(), ["x", "y z"]);
    }

    #[test]
    fn an_unknown_key_and_an_empty_command_are_told() {
        let unknown = parse(
            "[[workload]]\nname='a'\ncomand='x'",
            Path::new("hotproof.toml"),
        );
        assert!(unknown.unwrap_err().to_string().contains("comand"));
        let empty = load("[[workload]]\nname='a'\ncommand=''");
        assert!(empty[0].command().is_err());
    }

    #[test]
    fn one_workload_needs_no_name_and_several_do() {
        let one = load("[[workload]]\nname='a'\ncommand='x'");
        let two = load("[[workload]]\nname='a'\ncommand='x'\n[[workload]]\nname='b'\ncommand='y'");
        assert_eq!(choose(&one, None).unwrap().unwrap().name, "a");
        assert_eq!(choose(&two, Some("b")).unwrap().unwrap().name, "b");
        assert!(choose(&two, None).unwrap_err().to_string().contains("a, b"));
        assert!(choose(&two, Some("c")).is_err());
        assert!(choose(&[], None).unwrap().is_none());
    }
}
