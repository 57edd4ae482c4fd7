//! The files of the user that a comparison has a place in.

use crate::fixture::pairs;
use hotproof_diff::conclude;
use hotproof_report::compare::handoff;

const TAIL: &str = "What the user wrote after it.\n";

fn written(text: &str) -> String {
    let comparison = pairs::keep();
    handoff(text, &comparison, &conclude(&comparison), None)
}

/// The lines with marks of hotproof, in order.
fn marks(text: &str) -> Vec<&str> {
    let is_mark = |line: &&str| line.starts_with("<!-- hotproof: ");
    text.lines().filter(is_mark).collect()
}

#[test]
fn a_block_takes_its_old_place_and_the_text_around_it_stays() {
    let text = format!("# Mine\n\n{}\n{TAIL}", written(""));
    assert_eq!(written(&text), text);
}

/// Once, the next run replaced all from the first begin to the first end, whatever lay between.
#[test]
fn a_lost_mark_costs_no_text_however_often_it_is_written_again() {
    let block = written("");
    let [begin, end] = marks(&block)[..] else {
        panic!("{block}");
    };
    let other = "<!-- hotproof: begin a..b x -->\nOf others.\n<!-- hotproof: end a..b x -->\n";
    for lost in [begin, end] {
        let damaged = format!("{}\n{TAIL}\n{other}\nLast.\n", block.replace(lost, ""));
        let mut text = damaged.clone();
        for _ in 0..3 {
            text = written(&text);
            assert!(text.starts_with(damaged.trim_end()), "{text}");
            // The mark that was left over, those of the others, and one whole block.
            assert_eq!(marks(&text).len(), 1 + 2 + 2, "{text}");
            assert!(text.ends_with(block.as_str()), "{text}");
        }
    }
}
