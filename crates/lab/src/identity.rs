//! What a build depends on beside the sources and the command: tools, settings, variables.

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

/// Versions of the tools as they answer where the user stands, the variables that builds read,
/// cargo's own settings, and a `Cargo.lock` of the user that a ref may lack.
pub(crate) fn of_builds(user: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    for (program, argument) in [("rustc", "-vV"), ("cc", "--version"), ("go", "version")] {
        let mut command = Command::new(program);
        crate::cargo::clean(&mut command);
        let answer = command.arg(argument).current_dir(user).output();
        // A tool that is not there is none that a build could use.
        text.extend(answer.map(|output| output.stdout).unwrap_or_default());
        text.push(0);
    }
    let mut variables: Vec<_> = std::env::vars_os()
        .filter(|(name, _)| !crate::cargo::is_of_outer_build(name))
        .filter(|(name, _)| {
            let name = name.to_string_lossy();
            VARIABLES.iter().any(|start| name.starts_with(start))
        })
        .collect();
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
