//! The workloads and policies that a project names in its `hotproof.toml`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use hotproof_diff::Policy;
use hotproof_lab::{Product, ProductKind};
use serde::Deserialize;

use crate::compare_arguments::MetricName;
use crate::failure::{Code, Failure};

/// The file's name.
const FILE: &str = "hotproof.toml";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "workload")]
    workloads: Vec<Workload>,
    #[serde(default, rename = "policy")]
    policies: Vec<OwnPolicy>,
}

/// What a project says, and where it says so.
#[derive(Debug, Default)]
pub(crate) struct Project {
    file: File,
    /// The folder of its `hotproof.toml`, relative to where the user stands.
    folder: PathBuf,
}

/// A command with fixed work, by name.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Workload {
    /// What people call it.
    pub(crate) name: String,
    command: Option<Words>,
    bench: Option<String>,
    example: Option<String>,
    bin: Option<String>,
    arguments: Option<Words>,
    /// Builds it, by the shell; `None` leaves that to cargo where there is a `Cargo.toml`.
    pub(crate) build: Option<String>,
    directory: Option<PathBuf>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    stdin: Option<PathBuf>,
    #[serde(default)]
    exit_status: i32,
    #[serde(default = "one")]
    repetitions: u32,
    #[serde(default = "one")]
    concurrency: u32,
    scope: Option<String>,
    #[serde(default)]
    outputs: Vec<PathBuf>,
    #[serde(default)]
    script: bool,
    /// What decides.
    pub(crate) metric: Option<MetricName>,
    /// What a keep needs.
    pub(crate) policy: Option<String>,
    /// Runs the tests.
    pub(crate) test: Option<String>,
}

fn one() -> u32 {
    1
}

/// A command as a list of words, or as one text that is split as a shell would.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Words {
    List(Vec<String>),
    Text(String),
}

impl Words {
    fn split(&self) -> Option<Vec<OsString>> {
        let words = match self {
            Words::List(words) => Some(words.clone()),
            Words::Text(text) => shlex::split(text),
        };
        Some(words?.into_iter().map(OsString::from).collect())
    }
}

/// Thresholds of the project's own.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct OwnPolicy {
    name: String,
    metric: Option<MetricName>,
    /// Per cent.
    gain: Option<f64>,
    gain_mib: Option<f64>,
    /// Per cent.
    function_gain: Option<f64>,
    #[serde(default)]
    needs_hot: bool,
}

impl Workload {
    /// What the lab runs.
    pub(crate) fn value(&self) -> Result<hotproof_lab::Workload, Failure> {
        let product = self.product()?;
        let words = match (&self.command, &self.arguments, &product) {
            (Some(words), None, None) | (None, Some(words), Some(_)) => words.split(),
            (None, None, Some(_)) => Some(Vec::new()),
            (None, _, None) => {
                return Err(self.wrong("has neither a command nor a bench, example or bin"));
            }
            (Some(_), _, Some(_)) => {
                return Err(self.wrong("has a command, and a program of cargo beside it"));
            }
            (Some(_), Some(_), None) => {
                return Err(self.wrong("has arguments beside its command"));
            }
        };
        let command = words
            .filter(|words| product.is_some() || !words.is_empty())
            .ok_or_else(|| self.wrong("has a command that is none"))?;
        if self.repetitions == 0 || self.concurrency == 0 {
            return Err(self.wrong("is to run 0 times"));
        }
        Ok(hotproof_lab::Workload {
            name: Some(self.name.clone()),
            product,
            environment: self.environment.clone().into_iter().collect(),
            stdin: self.stdin.clone(),
            exit_status: self.exit_status,
            repetitions: self.repetitions,
            concurrency: self.concurrency,
            scope: self.scope.clone(),
            script: self.script,
            outputs: self.outputs.clone(),
            ..hotproof_lab::Workload::command(command)
        })
    }

    /// What it says of judging, where instructions are counted and nothing else, as a sentence.
    pub(crate) fn not_counted(&self) -> Option<String> {
        let metric = self.metric.filter(|it| *it != MetricName::Instructions);
        let said: Vec<&str> = [
            metric.map(|_| "metric"),
            self.policy.as_ref().map(|_| "policy"),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!said.is_empty()).then(|| {
            format!(
                "--engine callgrind counts instructions and measures nothing else: the {} of the workload `{}` in {FILE} is left out",
                said.join(" and the "),
                self.name
            )
        })
    }

    fn product(&self) -> Result<Option<Product>, Failure> {
        let named = [
            (ProductKind::Bench, &self.bench),
            (ProductKind::Example, &self.example),
            (ProductKind::Bin, &self.bin),
        ];
        let mut products = named.into_iter().filter_map(|(kind, name)| {
            let name = name.clone()?;
            Some(Product { kind, name })
        });
        let product = products.next();
        if products.next().is_some() {
            return Err(self.wrong("names more than one program of cargo"));
        }
        Ok(product)
    }

    fn wrong(&self, what: &str) -> Failure {
        let what = format!("{FILE}: the workload `{}` {what}", self.name);
        Failure::new(Code::Usage, what).remedy(
            "write the command as a list of words, command = [\"target/release/bench\"], or name a benchmark, bench = \"parse\"",
        )
    }
}

impl Project {
    /// The workloads and policies of the nearest `hotproof.toml` between `directory` and `top`;
    /// none without one.
    pub(crate) fn load(directory: &Path, top: &Path) -> Result<Project, Failure> {
        let mut above = PathBuf::new();
        for folder in directory.ancestors() {
            let path = folder.join(FILE);
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    return Ok(Project {
                        file: parse(&text, &path)?,
                        folder: above,
                    });
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    let what = format!("cannot read {}: {error}", path.display());
                    return Err(Failure::new(Code::Usage, what));
                }
            }
            if folder == top {
                break;
            }
            above.push("..");
        }
        Ok(Project::default())
    }

    /// Where a workload runs, relative to where the user stands.
    pub(crate) fn directory_of(&self, workload: &Workload) -> PathBuf {
        match &workload.directory {
            Some(directory) => self.folder.join(directory),
            None => self.folder.clone(),
        }
    }

    /// The workloads called so, `all` of them, or the only one there is; none when there are none
    /// and none is asked for.
    pub(crate) fn choose(&self, names: &[String]) -> Result<Vec<&Workload>, Failure> {
        let all = &self.file.workloads;
        let known = || {
            let names: Vec<&str> = all.iter().map(|w| w.name.as_str()).collect();
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        };
        if names.is_empty() {
            return match all.as_slice() {
                [] => Ok(Vec::new()),
                [only] => Ok(vec![only]),
                _ => Err(
                    Failure::new(Code::Usage, format!("{FILE} names several workloads"))
                        .read(format!("workloads: {}", known()))
                        .remedy("choose with -w NAME, or -w all, or give the command after `--`"),
                ),
            };
        }
        let mut chosen: Vec<&Workload> = Vec::new();
        for name in names {
            let found: Vec<&Workload> = all
                .iter()
                .filter(|w| name == "all" || w.name == *name)
                .collect();
            if found.is_empty() {
                let what = format!("there is no workload `{name}` in {FILE}");
                return Err(Failure::new(Code::Usage, what).read(format!("workloads: {}", known())));
            }
            for workload in found {
                if !chosen.iter().any(|other| other.name == workload.name) {
                    chosen.push(workload);
                }
            }
        }
        Ok(chosen)
    }

    /// A policy by its name: the project's own go first.
    pub(crate) fn policy(&self, name: &str) -> Result<Policy, Failure> {
        let own = self.file.policies.iter().find(|own| own.name == name);
        if let Some(own) = own {
            return own.value();
        }
        let known = Policy::all();
        if let Some(policy) = known.iter().find(|policy| policy.name == name) {
            return Ok(policy.clone());
        }
        let own = self.file.policies.iter().map(|own| own.name.as_str());
        let names: Vec<&str> = known.iter().map(|it| it.name.as_str()).chain(own).collect();
        Err(
            Failure::new(Code::Usage, format!("there is no policy `{name}`"))
                .read(format!("policies: {}", names.join(", ")))
                .remedy(format!(
                    "choose one of them, or define [[policy]] in {FILE} (see `hotproof compare --help`)"
                )),
        )
    }
}

impl OwnPolicy {
    fn value(&self) -> Result<Policy, Failure> {
        let usual = Policy::statistical();
        let fraction = |key: &str, percent: Option<f64>, default: f64| match percent {
            None => Ok(default),
            Some(percent) if (0.0..100.0).contains(&percent) => Ok(percent / 100.0),
            Some(percent) => Err(Failure::new(
                Code::Usage,
                format!(
                    "{FILE}: {key} of the policy `{}` is {percent}, expected per cent between 0 and 100",
                    self.name
                ),
            )),
        };
        Ok(Policy {
            name: self.name.clone(),
            metric: self.metric.map(Into::into),
            gain: fraction("gain", self.gain, usual.gain)?,
            gain_bytes: self
                .gain_mib
                .map(|mib| (mib.max(0.0) * f64::from(1 << 20)) as u64),
            micro_threshold: fraction("function-gain", self.function_gain, usual.micro_threshold)?,
            needs_hot: self.needs_hot,
            ..usual
        })
    }
}

fn parse(text: &str, path: &Path) -> Result<File, Failure> {
    let file: Result<File, _> = toml::from_str(text);
    let file = file.map_err(|error| {
        let what = format!(
            "cannot read {}: {}",
            path.display(),
            error.to_string().trim_end()
        );
        Failure::new(Code::Usage, what)
            .remedy("`hotproof compare --help` shows all that hotproof.toml can say")
    })?;
    let names = file.workloads.iter().map(|workload| &workload.name);
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            let what = format!("{} names the workload `{name}` twice", path.display());
            return Err(Failure::new(Code::Usage, what).remedy("give each a name of its own"));
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Project {
        Project {
            file: parse(text, Path::new(FILE)).unwrap(),
            folder: PathBuf::new(),
        }
    }

    fn only(text: &str) -> Workload {
        load(text).file.workloads.remove(0)
    }

    #[test]
    fn a_command_may_be_a_list_or_a_line_with_quotes() {
        let list = only("[[workload]]\nname='a'\ncommand=['x', 'y z']");
        let line = only("[[workload]]\nname='a'\ncommand=\"x 'y z'\"");
        for workload in [list, line] {
            assert_eq!(workload.value().unwrap().command, ["x", "y z"]);
        }
    }

    /// What judges is left out where instructions are counted, and is named.
    #[test]
    fn what_counting_leaves_out_is_said() {
        for (more, said) in [
            ("", None),
            ("metric='instructions'", None),
            ("metric='wall'", Some("the metric of")),
            ("policy='cpu'", Some("the policy of")),
            (
                "metric='wall'\npolicy='cpu'",
                Some("the metric and the policy of"),
            ),
        ] {
            let text = format!("[[workload]]\nname='a'\ncommand='x'\n{more}");
            let notice = only(&text).not_counted();
            assert_eq!(notice.is_some(), said.is_some(), "{more}");
            let (notice, said) = (notice.unwrap_or_default(), said.unwrap_or_default());
            assert!(notice.contains(said), "{notice}");
        }
    }

    #[test]
    fn everything_that_a_workload_can_say_arrives() {
        let text = "[[workload]]\nname='a'\nbench='parse'\narguments='number --exact'\n\
            directory='crates/p'\nenvironment={B='2', A='1'}\nstdin='in'\nexit-status=3\n\
            repetitions=4\nconcurrency=2\nscope='f'\noutputs=['o']\nmetric='reported'\n\
            policy='cpu'\ntest='make test'";
        let project = load(text);
        let workload = &project.file.workloads[0];
        let value = workload.value().unwrap();
        assert_eq!(value.product.unwrap().to_string(), "bench parse");
        assert_eq!(value.command, ["number", "--exact"]);
        assert_eq!(
            value.environment,
            [("A".into(), "1".into()), ("B".into(), "2".into())]
        );
        assert_eq!(
            (value.exit_status, value.repetitions, value.concurrency),
            (3, 4, 2)
        );
        assert_eq!(project.directory_of(workload), Path::new("crates/p"));
        assert_eq!(workload.metric, Some(MetricName::Reported));
    }

    #[test]
    fn what_cannot_be_is_told_by_name() {
        for (text, says) in [
            ("[[workload]]\nname='a'\ncomand='x'", "comand"),
            ("[[policy]]\nname='p'\ngains=1", "gains"),
            (
                "[[workload]]\nname='a'\ncommand='x'\nmetric='speed'",
                "speed",
            ),
            (
                "[[workload]]\nname='a'\ncommand='x'\n[[workload]]\nname='a'\ncommand='y'",
                "`a` twice",
            ),
        ] {
            let error = parse(text, Path::new(FILE)).unwrap_err().to_string();
            assert!(error.contains(says), "{says}: {error}");
        }
        for (text, says) in [
            ("command=''", "a command that is none"),
            ("", "neither a command"),
            ("command='x'\nbench='b'", "a program of cargo beside it"),
            ("bench='b'\nbin='c'", "more than one program"),
            ("command='x'\narguments='y'", "arguments beside its command"),
            ("command='x'\nrepetitions=0", "0 times"),
        ] {
            let workload = only(&format!("[[workload]]\nname='a'\n{text}"));
            let error = workload.value().unwrap_err().to_string();
            assert!(error.contains(says), "{says}: {error}");
        }
    }

    #[test]
    fn one_workload_needs_no_name_and_several_do() {
        let one = load("[[workload]]\nname='a'\ncommand='x'");
        let two = load("[[workload]]\nname='a'\ncommand='x'\n[[workload]]\nname='b'\ncommand='y'");
        let names = |project: &Project, names: &[&str]| {
            let asked: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let chosen = project.choose(&asked)?;
            Ok::<_, Failure>(chosen.iter().map(|w| w.name.clone()).collect::<Vec<_>>())
        };
        assert_eq!(names(&one, &[]).unwrap(), ["a"]);
        assert_eq!(names(&two, &["b"]).unwrap(), ["b"]);
        assert_eq!(names(&two, &["all", "b"]).unwrap(), ["a", "b"]);
        assert!(names(&two, &[]).unwrap_err().to_string().contains("a, b"));
        assert!(names(&two, &["c"]).is_err());
        assert!(names(&Project::default(), &[]).unwrap().is_empty());
    }

    #[test]
    fn a_policy_of_the_project_goes_before_the_known_ones() {
        let project = load("[[policy]]\nname='cpu'\ngain=3\nneeds-hot=true\nmetric='wall'");
        let cpu = project.policy("cpu").unwrap();
        assert_eq!((cpu.gain, cpu.needs_hot), (0.03, true));
        assert_eq!(project.policy("memory").unwrap().gain, 0.1);
        let error = project.policy("speed").unwrap_err().to_string();
        assert!(error.contains("statistical, cpu, memory"), "{error}");
        let wrong = load("[[policy]]\nname='p'\ngain=300");
        assert!(wrong.policy("p").is_err());
    }
}
