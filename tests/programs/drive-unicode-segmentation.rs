//! A fixed amount of splitting text, for `scripts/compare-versions.sh unicode-segmentation OLD NEW`.

use unicode_segmentation::UnicodeSegmentation;

fn main() {
    let text =
        "Ein Würfel, двенадцать кубиков, 骰子が三つ, e\u{301}te\u{301} 👩‍👩‍👧 and so on. ".repeat(400);
    let mut found = 0;
    for _ in 0..4 {
        found += text.graphemes(true).count();
        found += text.unicode_words().count();
        found += text.split_word_bounds().count();
        found += text.unicode_sentences().count();
    }
    println!("{found}");
}
