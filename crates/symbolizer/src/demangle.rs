//! Mangled names to the names that people read.

use std::borrow::Cow;

use cpp_demangle::DemangleOptions;

use crate::bounded::{LONGEST_NAME_BYTES, cpp_name, rust_name};

/// The name to show for a linkage name.
///
/// Rust names lose their hash or crate disambiguator. C++ names keep their parameters, because
/// overloads differ in nothing else, and lose the return type, which only templates would show. A
/// name in no known scheme is returned as it is. Suffixes of parts and clones (`.cold`, `.isra.0`)
/// stay, as `[clone .cold]` in C++; `.llvm.NUMBER` goes. A name that is, or would read as, longer
/// than 64 KiB is returned as it is.
///
/// ```
/// use hotproof_symbolizer::demangle;
///
/// assert_eq!(demangle("_ZN4demo4work17h0123456789abcdefE"), "demo::work");
/// assert_eq!(demangle("_ZN4demo4workEi.cold"), "demo::work(int) [clone .cold]");
/// assert_eq!(demangle("main.cold"), "main.cold");
/// ```
pub fn demangle(linkage_name: &str) -> Cow<'_, str> {
    by_scheme(linkage_name, &DemangleOptions::new().no_return_type())
}

/// As [`demangle`], but functions made from C++ templates keep their return type, as binutils
/// prints them.
///
/// ```
/// use hotproof_symbolizer::demangle_whole;
///
/// assert_eq!(demangle_whole("_Z6squareIiET_S0_"), "int square<int>(int)");
/// ```
pub fn demangle_whole(linkage_name: &str) -> Cow<'_, str> {
    by_scheme(linkage_name, &DemangleOptions::new())
}

fn by_scheme<'a>(linkage_name: &'a str, cpp: &DemangleOptions) -> Cow<'a, str> {
    if linkage_name.len() > LONGEST_NAME_BYTES {
        return Cow::Borrowed(linkage_name);
    }
    if let Ok(name) = rustc_demangle::try_demangle(linkage_name)
        && let Some(name) = rust_name(&name)
    {
        return Cow::Owned(name);
    }
    if linkage_name.starts_with("_Z")
        && let Some(name) = demangle_cpp(linkage_name, cpp)
    {
        return Cow::Owned(name);
    }
    Cow::Borrowed(linkage_name)
}

fn demangle_cpp(linkage_name: &str, options: &DemangleOptions) -> Option<String> {
    // A C++ name holds no dot: what follows one was added by the optimiser.
    let (base, suffix) = match linkage_name.find('.') {
        Some(dot) => linkage_name.split_at(dot),
        None => (linkage_name, ""),
    };
    let mut name = cpp_name(base, options)?;
    if !suffix.is_empty() && !suffix.starts_with(".llvm.") {
        name.push_str(&format!(" [clone {suffix}]"));
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::demangle;

    #[test]
    fn names_of_each_scheme_read_as_in_the_source() {
        for (linkage, expected) in [
            ("main", "main"),
            ("work.part.0", "work.part.0"),
            // Rust, legacy: hash and escapes go.
            (
                "_ZN44_$LT$demo..Circle$u20$as$u20$demo..Shape$GT$4area17h0123456789abcdefE",
                "<demo::Circle as demo::Shape>::area",
            ),
            (
                "_ZN4demo4work17h0123456789abcdefE.llvm.123456",
                "demo::work",
            ),
            // Rust, v0: the disambiguator goes, type arguments stay.
            ("_RNvCs1234_7mycrate3foo", "mycrate::foo"),
            ("_RINvCs1234_7mycrate3foomE", "mycrate::foo::<u32>"),
            // C++: overloads differ, return types of templates go.
            ("_Z4workid", "work(int, double)"),
            ("_ZNK2ns5Shape4areaEv", "ns::Shape::area() const"),
            ("_Z6squareIiET_S0_", "square<int>(int)"),
            ("_ZN12_GLOBAL__N_14workEv", "(anonymous namespace)::work()"),
            ("_Z4workid.isra.0", "work(int, double) [clone .isra.0]"),
            // In no scheme after all.
            ("_Znonsense", "_Znonsense"),
            ("_R", "_R"),
            ("", ""),
        ] {
            assert_eq!(demangle(linkage), expected, "of {linkage}");
        }
    }
}
