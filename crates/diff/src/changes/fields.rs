//! Where a function uses a field of a type: there are no types here, only names.

use std::collections::BTreeSet;

use super::changed::last_part;
use super::outline::{Language, Outline, Piece, PieceKind};
use super::uses::{Definition, SELF, type_around};
use super::walk::hash_of;

/// A field as one file would have to write it.
pub(super) struct Field {
    name: u64,
    owner: u64,
    /// Whether the file names the type, and no other of its types has such a field: what has the
    /// field is the type, then, whatever stands before the point.
    is_only: bool,
}

impl Field {
    /// `None` when the definition is no field.
    pub(super) fn of(
        definition: &Definition,
        language: Language,
        outline: &Outline,
    ) -> Option<Field> {
        let owner = definition
            .owner
            .as_deref()
            .filter(|_| definition.is_field())?;
        let hash = hash_of(owner.as_bytes());
        let mut tokens = outline.pieces.iter().flat_map(|piece| &piece.tokens);
        let is_named = tokens.any(|token| token.hash == hash);
        let is_other = |piece: &Piece| {
            piece.kind == PieceKind::Item("field")
                && last_part(&piece.name)
                    .split(", ")
                    .any(|name| name == definition.name)
                && type_around(language, outline, piece).is_none_or(|around| around != owner)
        };
        Some(Field {
            name: hash_of(definition.name.as_bytes()),
            owner: hash,
            is_only: is_named && !outline.pieces.iter().any(is_other),
        })
    }

    /// Whether a function reads, writes or fills the field. `heirs` are the types in whose methods
    /// `self` has it.
    pub(super) fn is_used(
        &self,
        language: Language,
        outline: &Outline,
        piece: &Piece,
        heirs: &BTreeSet<String>,
    ) -> bool {
        if piece.kind != PieceKind::Function {
            return false;
        }
        let around = type_around(language, outline, piece);
        let is_method = around.is_some_and(|around| heirs.contains(&around));
        let names = |hash: u64| piece.tokens.iter().any(|token| token.hash == hash);
        let names_type = names(self.owner) || (is_method && names(hash_of(b"Self")));
        let body = piece
            .tokens
            .iter()
            .position(|token| token.hash == hash_of(b"{"));
        let hash = |at: Option<usize>| at.and_then(|at| piece.tokens.get(at)).map(|t| t.hash);
        let is = |at: Option<usize>, signs: &[&[u8]]| {
            hash(at).is_some_and(|hash| signs.iter().any(|sign| hash == hash_of(sign)))
        };
        let positions = piece.tokens.iter().enumerate();
        let mut positions = positions
            .filter(|(_, token)| token.hash == self.name)
            .map(|(at, _)| at);
        let is_shadowed = {
            let first = piece
                .tokens
                .iter()
                .position(|token| token.hash == self.name);
            first.zip(body).is_some_and(|(first, body)| first < body)
        };
        positions.any(|at| {
            let (before, next) = (at.checked_sub(1), Some(at + 1));
            let in_body = body.is_some_and(|body| at > body);
            if is(before, &[b".", b"->"]) {
                let is_call = language == Language::Rust && is(next, &[b"("]);
                let of_self = is(at.checked_sub(2), &SELF);
                return !is_call
                    && ((of_self && is_method) || (!of_self && (names_type || self.is_only)));
            }
            if is(before, &[b"::"]) {
                return hash(at.checked_sub(2)) == Some(self.owner);
            }
            match language {
                Language::Cpp => is_method && !is_shadowed,
                // `T { field: 1 }`, and `T { field }` of Rust.
                Language::Rust | Language::Go => {
                    let filled = is(next, &[b":"])
                        || (language == Language::Rust
                            && is(before, &[b"{", b","])
                            && is(next, &[b"}", b","]));
                    in_body && filled && names_type
                }
                _ => false,
            }
        })
    }
}
