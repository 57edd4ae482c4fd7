//! Programs that an interpreter runs: whose functions samples cannot show, and what would.

use hotproof_profile::{Code, Id, Inline, LocationId, Profile, StackId};

use crate::numbers::percent;

/// The evaluation loop of CPython, which runs every function of a script: since 3.6, and before.
const PYTHON_LOOPS: [&str; 2] = ["_PyEval_EvalFrameDefault", "PyEval_EvalFrameEx"];
/// How CPython's `-X perf` names the functions of scripts.
const PYTHON_PREFIX: &str = "py::";

/// The share of samples within Python's interpreter, a fraction of 1, where no function of a script
/// has a name; `None` when there is no such sample, or when scripts are named.
pub(crate) fn unnamed_scripts(profile: &Profile) -> Option<f64> {
    let name = |id| &profile.strings[profile.functions[id].name];
    let ids = || profile.functions.ids();
    if ids().any(|id| name(id).starts_with(PYTHON_PREFIX)) {
        return None;
    }
    let loops: Vec<_> = ids()
        .filter(|&id| PYTHON_LOOPS.contains(&name(id)))
        .collect();
    if loops.is_empty() {
        return None;
    }
    let is_loop = |location: LocationId| {
        let mut codes = profile.code_at(location, Inline::Physical);
        codes.any(|code| matches!(code, Code::Function(id) if loops.contains(&id)))
    };
    // Parents come before their children.
    let mut within = vec![false; profile.stacks.len()];
    for index in 0..within.len() {
        let stack = profile.stacks[StackId::from_index(index)];
        within[index] =
            stack.parent.is_some_and(|parent| within[parent.index()]) || is_loop(stack.location);
    }
    let samples = profile.row_samples();
    let (mut all, mut inside) = (0, 0);
    for (row, stack) in profile.samples.stack.iter().enumerate() {
        let count = samples(row).unsigned_abs();
        all += count;
        if stack.is_some_and(|stack| within[stack.index()]) {
            inside += count;
        }
    }
    (inside > 0).then(|| inside as f64 / all as f64)
}

/// What to do about it, in one sentence.
pub(crate) fn advice(share: f64) -> String {
    format!(
        "{} of samples are in Python's interpreter, which does not name the functions of its scripts: \
         run it with python3 -X perf (Python 3.12 or later)",
        percent(share)
    )
}
