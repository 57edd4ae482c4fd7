//! Limits on names: a hostile or broken file can have names of a gigabyte, and mangled names of a
//! few bytes that read as more than memory holds.

use std::ffi::CStr;
use std::fmt::{self, Write};

/// Names are cut here as they are read. The longest of real programs (templates within templates)
/// have some tens of kilobytes.
pub(crate) const LONGEST_NAME_BYTES: usize = 64 << 10;

/// A text that refuses to grow beyond [`LONGEST_NAME_BYTES`].
#[derive(Default)]
pub(crate) struct BoundedText(String);

impl Write for BoundedText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > LONGEST_NAME_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// What a Rust name reads as, without hash; `None` when that is longer than any real name.
pub(crate) fn rust_name(name: &rustc_demangle::Demangle<'_>) -> Option<String> {
    let mut text = BoundedText::default();
    write!(text, "{name:#}").ok()?;
    Some(text.0)
}

/// What a C++ name reads as; `None` when it cannot be read, or is longer than any real name.
pub(crate) fn cpp_name(
    linkage_name: &str,
    options: &cpp_demangle::DemangleOptions,
) -> Option<String> {
    let symbol = cpp_demangle::Symbol::new(linkage_name).ok()?;
    let mut text = BoundedText::default();
    symbol.structured_demangle(&mut text, options).ok()?;
    Some(text.0)
}

/// A zero-terminated text of a string table, cut where it is too long; `None` outside the table.
pub(crate) fn text_at(table: &[u8], at: usize) -> Option<&[u8]> {
    let rest = table.get(at..)?;
    let rest = &rest[..rest.len().min(LONGEST_NAME_BYTES)];
    let ended = CStr::from_bytes_until_nul(rest).map(CStr::to_bytes);
    Some(ended.unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demangle::demangle;

    /// Each level doubles what is read: 40 of them would fill a terabyte.
    #[test]
    fn names_that_explode_stay_as_they_are() {
        // Parameter n is a pair of parameter n - 1 and itself: `S_` is the template, `S0_` the first.
        let number = |n: u32| char::from_digit(n, 36).unwrap().to_ascii_uppercase();
        let mut cpp = "_Z1fSt4pairIiiE".to_owned();
        for n in 0..34 {
            let last = number(n);
            cpp.push_str(&format!("S_IS{last}_S{last}_E"));
        }
        // Each type is a tuple of the type before it, twice, by its place in the name.
        let digits: Vec<char> = ('0'..='9').chain('a'..='z').chain('A'..='Z').collect();
        let mut rust = "_RINvC1a1fThhE".to_owned();
        let mut place = "INvC1a1f".len();
        for _ in 0..40 {
            let next = rust.len() - "_R".len();
            let (high, low) = ((place - 1) / 62, (place - 1) % 62);
            let mut text: String = if high > 0 {
                digits[high].into()
            } else {
                String::new()
            };
            text.push(digits[low]);
            rust.push_str(&format!("TB{text}_B{text}_E"));
            place = next;
        }
        rust.push('E');
        let short = "_Z1fSt4pairIiiES_IS0_S0_E";
        assert_eq!(
            demangle(short),
            "f(std::pair<int, int>, std::pair<std::pair<int, int>, std::pair<int, int> >)"
        );
        assert_eq!(
            demangle("_RINvC1a1fThhETB7_B7_EE"),
            "a::f::<(u8, u8), ((u8, u8), (u8, u8))>"
        );
        for name in [cpp.as_str(), rust.as_str()] {
            assert!(demangle(name).len() <= LONGEST_NAME_BYTES, "{}", name.len());
        }
    }

    #[test]
    fn deep_names_do_not_overflow_the_stack() {
        for part in ["P", "N", "I", "T", "S", "F"] {
            let cpp = format!("_Z1f{}v", part.repeat(LONGEST_NAME_BYTES));
            let rust = format!("_RINvC1a1f{}mE", part.repeat(LONGEST_NAME_BYTES));
            assert!(demangle(&cpp).len() <= cpp.len());
            assert!(demangle(&rust).len() <= rust.len());
        }
    }

    #[test]
    fn texts_of_tables_are_cut() {
        assert_eq!(text_at(b"\0one\0two", 1), Some(&b"one"[..]));
        assert_eq!(text_at(b"\0one\0two", 5), Some(&b"two"[..]));
        assert_eq!(text_at(b"\0one", 9), None);
        let long = vec![b'x'; LONGEST_NAME_BYTES * 3];
        assert_eq!(text_at(&long, 7).map(<[u8]>::len), Some(LONGEST_NAME_BYTES));
    }

    #[test]
    fn names_of_any_length_are_read_in_bounded_memory() {
        let long = "x".repeat(8 << 20);
        assert_eq!(demangle(&long).len(), long.len(), "as it is");
        let mut exact = BoundedText::default();
        assert!(exact.write_str(&long).is_err());
    }
}
