//! Commits as values: two trees, and the diff between them as git would print it.

use hotproof_diff::changes::{Changed, FileSources, changed, parse_diff};

/// A file before and after; `None` where it does not exist.
pub(crate) struct File<'t> {
    pub(crate) base: Option<(&'t str, &'t str)>,
    pub(crate) head: Option<(&'t str, &'t str)>,
}

/// A file that keeps its path.
pub(crate) fn edited<'t>(path: &'t str, base: &'t str, head: &'t str) -> File<'t> {
    File {
        base: Some((path, base)),
        head: Some((path, head)),
    }
}

/// What a commit changes.
pub(crate) fn changes_of(files: &[File<'_>]) -> Changed {
    changed(&sources_of(files))
}

/// A commit that edits one file.
pub(crate) fn changes_of_edit(path: &str, base: &str, head: &str) -> Changed {
    changes_of(&[edited(path, base, head)])
}

/// The files of a commit, read back from the text that git would print.
pub(crate) fn sources_of(files: &[File<'_>]) -> Vec<FileSources> {
    let text: String = files.iter().map(print_diff).collect();
    let diffs = parse_diff(text.as_bytes()).expect("the text is a diff");
    assert_eq!(diffs.len(), files.len());
    let bytes = |side: Option<(&str, &str)>| side.map(|(_, text)| text.as_bytes().to_vec());
    diffs
        .into_iter()
        .zip(files)
        .map(|(diff, file)| FileSources {
            diff,
            base: bytes(file.base),
            head: bytes(file.head),
        })
        .collect()
}

fn print_diff(file: &File<'_>) -> String {
    let (base_path, base) = file.base.unwrap_or_default();
    let (head_path, head) = file.head.unwrap_or_default();
    let mut text = match (file.base, file.head) {
        (Some(_), Some(_)) if base_path != head_path => format!(
            "diff --git a/{base_path} b/{head_path}\nsimilarity index 90%\n\
             rename from {base_path}\nrename to {head_path}\n"
        ),
        (Some(_), Some(_)) => format!("diff --git a/{base_path} b/{base_path}\n"),
        (None, _) => format!("diff --git a/{head_path} b/{head_path}\nnew file mode 100644\n"),
        (_, None) => format!("diff --git a/{base_path} b/{base_path}\ndeleted file mode 100644\n"),
    };
    let (base, head): (Vec<&str>, Vec<&str>) = (base.lines().collect(), head.lines().collect());
    let same = common_lines(&base, &head);
    let (mut b, mut h) = (0, 0);
    for (next_b, next_h) in same.into_iter().chain([(base.len(), head.len())]) {
        if next_b > b || next_h > h {
            let at = |start: usize, end: usize| match end - start {
                0 => format!("{start},0"),
                1 => format!("{}", start + 1),
                n => format!("{},{n}", start + 1),
            };
            text += &format!("@@ -{} +{} @@\n", at(b, next_b), at(h, next_h));
            text.extend(base[b..next_b].iter().map(|line| format!("-{line}\n")));
            text.extend(head[h..next_h].iter().map(|line| format!("+{line}\n")));
        }
        (b, h) = (next_b + 1, next_h + 1);
    }
    text
}

/// Pairs of equal lines, a longest common subsequence.
fn common_lines(base: &[&str], head: &[&str]) -> Vec<(usize, usize)> {
    let width = head.len() + 1;
    let mut longest = vec![0u32; (base.len() + 1) * width];
    for b in (0..base.len()).rev() {
        for h in (0..head.len()).rev() {
            longest[b * width + h] = if base[b] == head[h] {
                longest[(b + 1) * width + h + 1] + 1
            } else {
                longest[(b + 1) * width + h].max(longest[b * width + h + 1])
            };
        }
    }
    let (mut b, mut h, mut pairs) = (0, 0, Vec::new());
    while b < base.len() && h < head.len() {
        if base[b] == head[h] {
            pairs.push((b, h));
            (b, h) = (b + 1, h + 1);
        } else if longest[(b + 1) * width + h] >= longest[b * width + h + 1] {
            b += 1;
        } else {
            h += 1;
        }
    }
    pairs
}
