//! What a build depends on beside the sources and the command: tools, settings, variables.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// Variables that builds read, by the beginnings of their names. Whatever else a build reads is
/// its own: `--no-cache` is for such builds.
const VARIABLES: [&str; 20] = [
    "PATH",
    "RUST",
    "CARGO",
    "CC",
    "CXX",
    "CFLAGS",
    "CPPFLAGS",
    "LDFLAGS",
    "LD_",
    "AR",
    "GO",
    "CGO_",
    "CMAKE",
    "MAKEFLAGS",
    "PKG_CONFIG",
    "NODE_",
    "NPM_",
    "PYTHON",
    "HOME",
    "LIBRARY_PATH",
];

/// Flags and compilers that the environment names. They are logged, so that nothing else may fit.
const FLAGS: [&str; 15] = [
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CC",
    "CXX",
    "CFLAGS",
    "CXXFLAGS",
    "CPPFLAGS",
    "LDFLAGS",
    "GOFLAGS",
    "GOARCH",
    "GOAMD64",
];

/// Whether a variable is one of them, or cargo's for a profile or a target.
fn is_flag(name: &str) -> bool {
    let of_target = name.starts_with("CARGO_TARGET_")
        && (name.ends_with("_RUSTFLAGS") || name.ends_with("_LINKER"));
    FLAGS.contains(&name) || name.starts_with("CARGO_PROFILE_") || of_target
}

/// What answers for a build, to be read by people and compared with that of another day: the first
/// line that each compiler says of itself, and the flags of the environment.
pub(crate) fn tools(user: &Path) -> Vec<String> {
    let mut versions: Vec<String> = Vec::new();
    for question in questions(|name| std::env::var(name).ok()) {
        let answer = version(&question, user);
        let line = answer.split(|byte| *byte == b'\n').next();
        let line = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
        if !line.is_empty() && !versions.contains(&line) {
            versions.push(line);
        }
    }
    let mut flags: Vec<String> = variables(is_flag)
        .into_iter()
        .map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()))
        .collect();
    flags.sort();
    versions.extend(flags);
    versions
}

/// What asks each compiler for its version: those that builds find by themselves, and those that
/// the environment names, maybe behind a wrapper (`ccache clang`).
fn questions(variable: impl Fn(&str) -> Option<String>) -> Vec<Vec<String>> {
    let of_words = |words: &str, argument: &str| -> Vec<String> {
        let words = words.split_whitespace().chain([argument]);
        words.map(str::to_owned).collect()
    };
    let known = [
        of_words("rustc", "-vV"),
        of_words("cc", "--version"),
        of_words("go", "version"),
        of_words("c++", "--version"),
        of_words("clang", "--version"),
    ];
    let named = ["CC", "CXX"].into_iter().filter_map(variable);
    let named = named.filter(|words| !words.trim().is_empty());
    let named = named.map(|words| of_words(&words, "--version"));
    known.into_iter().chain(named).collect()
}

/// What a tool says of itself; nothing where there is none, since no build could use it.
fn version(question: &[String], user: &Path) -> Vec<u8> {
    let Some((program, arguments)) = question.split_first() else {
        return Vec::new();
    };
    let mut command = Command::new(program);
    crate::cargo::clean(&mut command);
    let answer = command.args(arguments).current_dir(user).output();
    answer.map(|output| output.stdout).unwrap_or_default()
}

/// The variables with such names, but for those of an outer build.
fn variables(is_one: impl Fn(&str) -> bool) -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .filter(|(name, _)| !crate::cargo::is_of_outer_build(name))
        .filter(|(name, _)| is_one(&name.to_string_lossy()))
        .collect()
}

/// Versions of the tools as they answer where the user stands, the variables that builds read,
/// cargo's own settings, and a `Cargo.lock` of the user that a ref may lack.
pub(crate) fn of_builds(user: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    for question in questions(|name| std::env::var(name).ok()) {
        text.extend(version(&question, user));
        text.push(0);
    }
    let mut variables = variables(|name| VARIABLES.iter().any(|start| name.starts_with(start)));
    variables.sort();
    for (name, value) in variables {
        text.extend(name.as_encoded_bytes());
        text.push(b'=');
        text.extend(value.as_encoded_bytes());
        text.push(0);
    }
    let home = std::env::var_os("CARGO_HOME")
        .map(Into::into)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    for name in ["config.toml", "config"] {
        let config = home
            .as_ref()
            .map(|home: &std::path::PathBuf| home.join(name));
        text.extend(
            config
                .and_then(|path| std::fs::read(path).ok())
                .unwrap_or_default(),
        );
        text.push(0);
    }
    for folder in user.ancestors() {
        if let Ok(lock) = std::fs::read(folder.join("Cargo.lock")) {
            text.extend(lock);
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another version of `$CXX` or of clang was the same to kept builds and to `--resume`.
    #[test]
    fn compilers_that_the_environment_names_are_asked_too() {
        let asked = |name: &str| match name {
            "CC" => Some("ccache gcc-14 -m64".to_owned()),
            "CXX" => Some(" ".to_owned()),
            _ => None,
        };
        let lines: Vec<String> = questions(asked).iter().map(|it| it.join(" ")).collect();
        let expected = [
            "rustc -vV",
            "cc --version",
            "go version",
            "c++ --version",
            "clang --version",
            "ccache gcc-14 -m64 --version",
        ];
        assert_eq!(lines, expected);
    }

    /// What is logged holds no secret by accident of its name.
    #[test]
    fn flags_are_told_and_nothing_else() {
        let flags = [
            "CC",
            "RUSTFLAGS",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_TARGET_X_LINKER",
        ];
        assert!(flags.into_iter().all(is_flag));
        let others = [
            "ARM_CLIENT_SECRET",
            "CC_TOKEN",
            "CCACHE_DIR",
            "ARGS",
            "CARGO_TARGET_DIR",
        ];
        assert!(!others.into_iter().any(is_flag));
    }
}
