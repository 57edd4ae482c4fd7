//! Pairs the functions of a file at base with those at head.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHashSet};

use super::changed::last_part;
use super::diff::{Hunk, LineRange};
use super::outline::{Outline, Piece, PieceKind};
use super::walk::hash_of;
use crate::values::Side;

/// Likeness from which two functions of different names are the same one.
const RENAMED_LIKENESS: f64 = 0.7;

/// How much the best candidate has to be ahead of the next.
const RENAMED_LEAD: f64 = 0.1;

/// Functions of fewer tokens look alike by chance.
const RENAMED_TOKENS: usize = 12;

/// A file at both refs with its functions paired. All numbers are indices of pieces.
pub(crate) struct Pairing<'a> {
    base: &'a Outline,
    head: &'a Outline,
    hunks: &'a [Hunk],
    lines: LineMap,
    /// Functions at both, in the order of base.
    pub(crate) pairs: Vec<(usize, usize)>,
    /// Functions at base only, in order.
    pub(crate) removed: Vec<usize>,
    /// Functions at head only, in order.
    pub(crate) added: Vec<usize>,
}

impl<'a> Pairing<'a> {
    pub(crate) fn new(base: &'a Outline, head: &'a Outline, hunks: &'a [Hunk]) -> Self {
        let mut pairing = Pairing {
            base,
            head,
            hunks,
            lines: LineMap::new(hunks),
            pairs: Vec::new(),
            removed: function_indices(base),
            added: function_indices(head),
        };
        pairing.pair_unique_names();
        pairing.pair_by(|piece, line| Some((&*piece.name, hash_of_tokens(piece), line?)));
        pairing.pair_by(|piece, _| Some((&*piece.name, hash_of_tokens(piece))));
        pairing.pair_by(|piece, line| Some((&*piece.name, line?)));
        pairing.pair_by(|piece, _| Some(&*piece.name));
        pairing.pair_by(|piece, line| Some((last_part(&piece.name), line?)));
        pairing.pair_renamed();
        pairing.pairs.sort_unstable();
        pairing
    }

    /// Whether a changed line holds a token of the piece's own.
    pub(crate) fn touched(&self, side: Side, piece: usize) -> bool {
        self.touched_line(side, piece).is_some()
    }

    /// Whether anything but comments and layout differs.
    pub(crate) fn any_difference(&self) -> bool {
        let tokens = |outline: &Outline| -> Vec<u64> {
            let pieces = outline.pieces.iter();
            pieces
                .flat_map(|piece| piece.tokens.iter().map(|token| token.hash))
                .collect()
        };
        tokens(self.base) != tokens(self.head)
    }

    /// Pairs names that stand once on each side.
    fn pair_unique_names(&mut self) {
        let base = names(self.base, &self.removed);
        let head = names(self.head, &self.added);
        let mut pairs: Vec<(usize, usize)> = base
            .iter()
            .filter_map(
                |(name, list)| match (&list[..], head.get(name).map(Vec::as_slice)) {
                    (&[b], Some(&[h])) => Some((b, h)),
                    _ => None,
                },
            )
            .collect();
        pairs.sort_unstable();
        self.take(&pairs);
    }

    /// Pairs each function of base with the first one of head that has the same key. A key is
    /// made of a piece and the line of its name at head, which git may see as changed.
    fn pair_by<K: Eq + Hash>(&mut self, key: impl Fn(&'a Piece, Option<u32>) -> Option<K>) {
        if self.removed.is_empty() || self.added.is_empty() {
            return;
        }
        let mut waiting: FxHashMap<K, VecDeque<usize>> = FxHashMap::default();
        for &h in &self.added {
            let piece = &self.head.pieces[h];
            if let Some(key) = key(piece, Some(piece.signature_line)) {
                waiting.entry(key).or_default().push_back(h);
            }
        }
        let mut pairs = Vec::new();
        for &b in &self.removed {
            let piece = &self.base.pieces[b];
            let line = self.lines.head_line(piece.signature_line);
            let partner = key(piece, line)
                .and_then(|key| waiting.get_mut(&key))
                .and_then(VecDeque::pop_front);
            pairs.extend(partner.map(|h| (b, h)));
        }
        self.take(&pairs);
    }

    /// Pairs functions whose bodies are alike, when each is clearly the other's best match.
    fn pair_renamed(&mut self) {
        let mut scores = self.likenesses();
        // What is this far behind the least likeness stands in nobody's way.
        scores.retain(|&(_, _, score)| score > RENAMED_LIKENESS - RENAMED_LEAD);
        let mut pairs = Vec::new();
        for &(b, h, score) in &scores {
            let mut rivals = scores.iter().filter(|&&(b2, h2, _)| (b2 == b) != (h2 == h));
            let clear = rivals.all(|&(_, _, rival)| score - rival >= RENAMED_LEAD);
            if score >= RENAMED_LIKENESS && clear {
                pairs.push((b, h));
            }
        }
        self.take(&pairs);
    }

    /// Likeness of each touched function of base to each touched one of head, without the small
    /// ones; nothing when there are too many to compare.
    fn likenesses(&self) -> Vec<(usize, usize, f64)> {
        const MOST: usize = 20_000;
        const MOST_TOKENS: usize = 20_000_000;
        let big = |outline: &Outline, side: Side, list: &[usize]| -> Vec<(usize, Vec<u64>)> {
            list.iter()
                .filter(|&&at| self.touched(side, at))
                .map(|&at| (at, body_hashes(&outline.pieces[at])))
                .filter(|(_, tokens)| tokens.len() >= RENAMED_TOKENS)
                .collect()
        };
        let base = big(self.base, Side::Base, &self.removed);
        let head = big(self.head, Side::Head, &self.added);
        let sizes = |list: &[(usize, Vec<u64>)]| list.iter().map(|(_, t)| t.len()).sum::<usize>();
        let work = sizes(&base) * head.len() + sizes(&head) * base.len();
        if base.len() * head.len() > MOST || work > MOST_TOKENS {
            return Vec::new();
        }
        base.iter()
            .flat_map(|(b, left)| {
                head.iter()
                    .map(move |(h, right)| (*b, *h, likeness(left, right)))
            })
            .collect()
    }

    fn take(&mut self, pairs: &[(usize, usize)]) {
        let base: FxHashSet<usize> = pairs.iter().map(|&(b, _)| b).collect();
        let head: FxHashSet<usize> = pairs.iter().map(|&(_, h)| h).collect();
        self.removed.retain(|b| !base.contains(b));
        self.added.retain(|h| !head.contains(h));
        self.pairs.extend_from_slice(pairs);
    }

    /// The first changed line that holds a token of the piece's own.
    fn touched_line(&self, side: Side, piece: usize) -> Option<u32> {
        let piece = match side {
            Side::Base => &self.base.pieces[piece],
            Side::Head => &self.head.pieces[piece],
        };
        let changed = |line: u32, last: u32| first_changed(self.hunks, side, line, last);
        piece
            .tokens
            .iter()
            .filter_map(|token| changed(token.line, token.last_line))
            .min()
    }

    /// Changes of pieces that are no functions: a line at head, else at base, and what lies there.
    pub(crate) fn outside(&self) -> Vec<OutsidePiece> {
        let (base, head) = self.unmatched();
        let told = [Side::Base, Side::Head].map(|side| self.told_by_functions(side));
        let mut lines = Vec::new();
        let mut partners: FxHashMap<(PieceKind, &str), VecDeque<usize>> = FxHashMap::default();
        for &b in &base {
            let piece = &self.base.pieces[b];
            let waiting = partners.entry((piece.kind, &piece.name)).or_default();
            waiting.push_back(b);
        }
        let mut paired = FxHashSet::default();
        for h in head {
            let piece = &self.head.pieces[h];
            let waiting = partners.get_mut(&(piece.kind, piece.name.as_str()));
            let partner = waiting.and_then(VecDeque::pop_front);
            paired.extend(partner);
            let own = self.touched_line(Side::Head, h);
            // Where lines are only gone, the line at base says where.
            let line = own.or_else(|| self.touched_line(Side::Base, partner?));
            if let Some(line) = line
                && (partner.is_some() || !told[1].contains(&h))
            {
                let same =
                    partner.is_some_and(|b| same_but_visibility(&self.base.pieces[b], piece));
                lines.push(OutsidePiece {
                    line,
                    what: if same { VISIBILITY } else { what(piece.kind) },
                    side: Side::Head,
                    piece: h,
                });
            }
        }
        for b in base.into_iter().filter(|b| !paired.contains(b)) {
            if let Some(line) = self.touched_line(Side::Base, b)
                && !told[0].contains(&b)
            {
                lines.push(OutsidePiece {
                    line,
                    what: what(self.base.pieces[b].kind),
                    side: Side::Base,
                    piece: b,
                });
            }
        }
        lines
    }

    /// Pieces that are no functions and have no equal on the other side.
    fn unmatched(&self) -> (Vec<usize>, Vec<usize>) {
        let mut equal: FxHashMap<(PieceKind, Vec<u64>), VecDeque<usize>> = FxHashMap::default();
        let key = |piece: &Piece| {
            let hashes = piece.tokens.iter().map(|token| token.hash).collect();
            (piece.kind, hashes)
        };
        let others = |outline: &'a Outline| {
            let all = outline.pieces.iter().enumerate();
            all.filter(|(_, piece)| piece.kind != PieceKind::Function && !piece.tokens.is_empty())
        };
        for (b, piece) in others(self.base) {
            equal.entry(key(piece)).or_default().push_back(b);
        }
        let mut head = Vec::new();
        for (h, piece) in others(self.head) {
            let same = equal.get_mut(&key(piece)).and_then(VecDeque::pop_front);
            if same.is_none() {
                head.push(h);
            }
        }
        let mut base: Vec<usize> = equal.into_values().flatten().collect();
        base.sort_unstable();
        (base, head)
    }

    /// The pieces that only hold functions that came or went with them.
    fn told_by_functions(&self, side: Side) -> FxHashSet<usize> {
        let (outline, singles) = match side {
            Side::Base => (self.base, &self.removed),
            Side::Head => (self.head, &self.added),
        };
        let touched = singles.iter().filter(|&&at| self.touched(side, at));
        touched
            .map(|&at| outline.pieces[at].parent)
            .filter(|&scope| matches!(outline.pieces[scope].kind, PieceKind::Scope(_)))
            .collect()
    }
}

/// A changed piece that is no function.
pub(crate) struct OutsidePiece {
    /// A changed line at head, else at base.
    pub(crate) line: u32,
    /// What lies there, in words.
    pub(crate) what: &'static str,
    /// Where the piece is: at head, or at base when it is gone.
    pub(crate) side: Side,
    /// Its index.
    pub(crate) piece: usize,
}

/// What is outside of functions and is no code: who may name a thing.
pub(crate) const VISIBILITY: &str = "visibility";

/// Whether two pieces that functions use differ in nothing but `pub`, `pub(crate)` and the like of
/// Rust, or in `public:`, `private:` and `protected:` of C++.
fn same_but_visibility(base: &Piece, head: &Piece) -> bool {
    let has_users = matches!(
        head.kind,
        PieceKind::Item("field" | "constant" | "static" | "type alias") | PieceKind::Scope("type")
    );
    has_users && !base.same_tokens(head) && without_visibility(base) == without_visibility(head)
}

fn without_visibility(piece: &Piece) -> Vec<u64> {
    let tokens: Vec<u64> = piece.tokens.iter().map(|token| token.hash).collect();
    let mut left = Vec::with_capacity(tokens.len());
    let mut rest = &tokens[..];
    while let Some(&first) = rest.first() {
        let length = visibility_length(rest);
        if length == 0 {
            left.push(first);
        }
        rest = &rest[length.max(1)..];
    }
    left
}

/// How many tokens at the start say who may name a thing; none when it is something else.
fn visibility_length(tokens: &[u64]) -> usize {
    let is = |at: usize, words: &[&str]| {
        let token = tokens.get(at);
        token.is_some_and(|token| words.iter().any(|word| *token == hash_of(word.as_bytes())))
    };
    if is(0, &["public", "private", "protected"]) && is(1, &[":"]) {
        return 2;
    }
    if !is(0, &["pub"]) {
        return 0;
    }
    if is(1, &["("]) && is(2, &["crate", "self", "super"]) && is(3, &[")"]) {
        return 4;
    }
    if is(1, &["("]) && is(2, &["in"]) {
        let close = (3..tokens.len()).find(|&at| is(at, &[")"]));
        return close.map_or(1, |at| at + 1);
    }
    1
}

fn what(kind: PieceKind) -> &'static str {
    match kind {
        PieceKind::Macro => "macro",
        PieceKind::Function => "function",
        PieceKind::Scope(what) | PieceKind::Item(what) => what,
    }
}

fn function_indices(outline: &Outline) -> Vec<usize> {
    let named = outline.named();
    named
        .filter(|(_, piece)| piece.kind == PieceKind::Function)
        .map(|(index, _)| index)
        .collect()
}

fn names<'a>(outline: &'a Outline, list: &[usize]) -> FxHashMap<&'a str, Vec<usize>> {
    let mut names: FxHashMap<&str, Vec<usize>> = FxHashMap::default();
    for &at in list {
        let name = outline.pieces[at].name.as_str();
        names.entry(name).or_default().push(at);
    }
    names
}

/// Hashes of the tokens from the body on, so that a long signature makes nothing alike.
fn body_hashes(piece: &Piece) -> Vec<u64> {
    piece
        .tokens
        .iter()
        .filter(|token| token.line >= piece.body.0)
        .map(|token| token.hash)
        .collect()
}

/// Share of the neighbouring pairs of tokens that two texts have in common, from 0 to 1 (the
/// coefficient of Dice).
pub(crate) fn likeness(a: &[u64], b: &[u64]) -> f64 {
    if a.len() < 2 || b.len() < 2 {
        return if a == b { 1.0 } else { 0.0 };
    }
    let mut counts: FxHashMap<(u64, u64), i64> = FxHashMap::default();
    for pair in a.windows(2) {
        *counts.entry((pair[0], pair[1])).or_default() += 1;
    }
    let mut common = 0usize;
    for pair in b.windows(2) {
        let count = counts.entry((pair[0], pair[1])).or_default();
        if *count > 0 {
            *count -= 1;
            common += 1;
        }
    }
    2.0 * common as f64 / (a.len() + b.len() - 2) as f64
}

fn of_side(hunk: &Hunk, side: Side) -> LineRange {
    match side {
        Side::Base => hunk.base,
        Side::Head => hunk.head,
    }
}

/// The first changed line from `line` to `last`.
fn first_changed(hunks: &[Hunk], side: Side, line: u32, last: u32) -> Option<u32> {
    let end = |range: LineRange| range.first.saturating_add(range.count);
    let at = hunks.partition_point(|hunk| end(of_side(hunk, side)) <= line);
    let range = hunks[at..]
        .iter()
        .map(|hunk| of_side(hunk, side))
        .find(|range| range.count > 0 && end(*range) > line)?;
    (range.first <= last).then(|| range.first.max(line))
}

/// Maps lines of base to lines of head.
pub(crate) struct LineMap {
    /// Hunks with the lines that all hunks before them added.
    hunks: Vec<(Hunk, i64)>,
    /// Lines that all hunks together added.
    shift: i64,
}

impl LineMap {
    pub(crate) fn new(hunks: &[Hunk]) -> LineMap {
        let mut shift = 0;
        let mut list = Vec::with_capacity(hunks.len());
        for hunk in hunks {
            list.push((*hunk, shift));
            shift += i64::from(hunk.head.count) - i64::from(hunk.base.count);
        }
        LineMap { hunks: list, shift }
    }

    /// The line at head of an unchanged line of base; `None` for a changed one.
    pub(crate) fn head_line(&self, line: u32) -> Option<u32> {
        // A hunk without lines at base lies behind the line that it names.
        let end = |hunk: &Hunk| hunk.base.first.saturating_add(hunk.base.count.max(1));
        let at = self.hunks.partition_point(|(hunk, _)| end(hunk) <= line);
        let shift = match self.hunks.get(at) {
            Some((hunk, _)) if hunk.base.contains(line) => return None,
            Some(&(_, shift)) => shift,
            None => self.shift,
        };
        u32::try_from(i64::from(line) + shift).ok()
    }
}

/// One number for all tokens of a piece.
fn hash_of_tokens(piece: &Piece) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    for token in &piece.tokens {
        hasher.write_u64(token.hash);
    }
    hasher.finish()
}
