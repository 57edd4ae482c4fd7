//! The places that a function of the corpus stands in, and how each language writes it.

/// How a language writes the function of the corpus. `@` is its name.
pub(crate) struct Style {
    pub(crate) extension: &'static str,
    pub(crate) signature: &'static str,
    /// Line 2 adds up, lines 1 to 3 can go, line 5 is a comment, line 7 holds `part * 3` or `+ 1`.
    pub(crate) body: &'static [&'static str],
    pub(crate) open: &'static str,
    pub(crate) close: &'static str,
    pub(crate) documentation: [&'static str; 3],
    pub(crate) note: &'static str,
    pub(crate) long_note: &'static str,
    pub(crate) inserted: &'static str,
    pub(crate) rewritten: &'static str,
    /// An attribute that comes, and one that goes.
    pub(crate) attributes: [&'static str; 2],
    /// What one more parameter replaces, and with what.
    pub(crate) parameter: (&'static str, &'static str),
    /// What a type parameter or a qualifier replaces, and with what.
    pub(crate) qualifier: (&'static str, &'static str),
    pub(crate) first: &'static str,
    pub(crate) last: &'static str,
    pub(crate) twin: &'static str,
    /// Whether lines of the body can be joined to one.
    pub(crate) joins: bool,
    /// What may stand before the `)` of a list over several lines.
    pub(crate) comma: &'static str,
}

/// Where the function stands: what is around it, and what its name is there. `@` is the name.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) style: &'static Style,
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
    /// Before the signature.
    pub(crate) modifiers: &'static str,
    pub(crate) qualified: &'static str,
    /// Spaces before each line.
    pub(crate) indent: usize,
    /// Instead of the style's own.
    pub(crate) signature: Option<&'static str>,
    pub(crate) attributes: Option<[&'static str; 2]>,
    pub(crate) qualifier: Option<(&'static str, &'static str)>,
    pub(crate) twin: Option<&'static str>,
    pub(crate) neighbours: Option<[&'static str; 2]>,
}

const RUST: Style = Style {
    extension: "rs",
    signature: "fn @(values: &[u32], limit: u32) -> u32",
    body: &[
        "    let mut sum = limit;",
        "    for value in values.iter() {",
        "        sum += value % limit;",
        "    }",
        "",
        "    // The scale.",
        "    let scale = |part: u32| {",
        "        part * 3",
        "    };",
        "    scale(sum)",
    ],
    open: "{",
    close: "}",
    documentation: [
        "/// Adds up.\n",
        "/// Adds up what is\n/// left.\n",
        "/// Sums.\n///\n/// Twice.\n",
    ],
    note: "        // Why: it wraps.",
    long_note: "    /* two\n       lines */",
    inserted: "    sum = sum + 9;",
    rewritten: "    values.len() as u32 / limit",
    attributes: ["#[inline(never)]\n", "#[inline]\n"],
    parameter: (")", ", more: u8)"),
    qualifier: ("@(", "@<X: Copy>("),
    first: "fn first() -> u32 {\n    let a = 1;\n    a + 2\n}\n\n",
    last: "\nfn last() -> u32 {\n    let mut sum = 5;\n    sum += 1;\n    sum\n}\n",
    twin: "const X: u32 = 7;\n",
    joins: true,
    comma: ",",
};

const C: Style = Style {
    extension: "c",
    signature: "unsigned @(const unsigned *values, unsigned limit)",
    body: &[
        "    unsigned sum = limit;",
        "    for (int i = 0; i < 7; i++) {",
        "        sum += values[i] % limit;",
        "    }",
        "",
        "    /* The scale. */",
        "    sum *= 3;",
        "    return sum + 1;",
    ],
    open: "{",
    close: "}",
    documentation: RUST.documentation,
    note: RUST.note,
    long_note: RUST.long_note,
    inserted: RUST.inserted,
    rewritten: "    return values[0] / limit;",
    attributes: ["__attribute__((noinline))\n", "__attribute__((hot))\n"],
    parameter: (")", ", int more)"),
    qualifier: ("unsigned limit", "const unsigned limit"),
    first: "int first(void)\n{\n    return 2;\n}\n\n",
    last: "\nint last(void)\n{\n    int sum = 5;\n    return sum;\n}\n",
    twin: "static int x = 7;\n",
    joins: true,
    comma: "",
};

const CPP: Style = Style {
    extension: "cpp",
    signature: "unsigned @(const std::vector<unsigned> &values, unsigned limit)",
    body: &[
        "    unsigned sum = limit;",
        "    for (auto value : values) {",
        "        sum += value % limit;",
        "    }",
        "",
        "    // The scale.",
        "    auto scale = [&](unsigned part) {",
        "        return part * 3;",
        "    };",
        "    return scale(sum);",
    ],
    rewritten: "    return values.size() / limit;",
    attributes: ["[[gnu::noinline]]\n", "[[nodiscard]]\n"],
    twin: "static const int x = 7;\n",
    ..C
};

const GO: Style = Style {
    extension: "go",
    signature: "@(values []uint32, limit uint32) uint32",
    body: &[
        "    sum := limit",
        "    for _, value := range values {",
        "        sum += value % limit",
        "    }",
        "",
        "    // The scale.",
        "    scale := func(part uint32) uint32 {",
        "        return part * 3",
        "    }",
        "    return scale(sum)",
    ],
    open: "{",
    close: "}",
    documentation: [
        "// Adds up.\n",
        "// Adds up what is\n// left.\n",
        "// Sums.\n//\n// Twice.\n",
    ],
    note: RUST.note,
    long_note: RUST.long_note,
    inserted: "    sum = sum + 9",
    rewritten: "    return uint32(len(values)) / limit",
    attributes: ["//go:noinline\n", "//go:nosplit\n"],
    parameter: (")", ", more int)"),
    qualifier: ("limit uint32", "limit uint16"),
    first: "func first() int {\n    return 2\n}\n\n",
    last: "\nfunc last() int {\n    sum := 5\n    return sum\n}\n",
    twin: "const x = 7\n",
    joins: false,
    comma: ",",
};

const PYTHON: Style = Style {
    extension: "py",
    signature: "def @(values, limit):",
    body: &[
        "    sum = limit",
        "    for value in values:",
        "        sum += value % limit",
        "    sum -= 2",
        "",
        "    # The scale.",
        "    scale = lambda part: (",
        "        part * 3",
        "    )",
        "    return scale(sum)",
    ],
    open: "",
    close: "",
    documentation: [
        "# Adds up.\n",
        "# Adds up what is\n# left.\n",
        "# Sums.\n#\n# Twice.\n",
    ],
    note: "        # Why: it wraps.",
    long_note: "    # two\n    # lines",
    inserted: "    sum = sum + 9",
    rewritten: "    return len(values) // limit",
    attributes: ["@cache\n", "@staticmethod\n"],
    parameter: ("limit)", "limit, more)"),
    qualifier: ("limit)", "limit: int = 1)"),
    first: "def first():\n    return 2\n\n",
    last: "\ndef last():\n    sum = 5\n    return sum\n",
    twin: "X = 7\n",
    joins: false,
    comma: ",",
};

const JAVASCRIPT: Style = Style {
    extension: "js",
    signature: "@(values, limit)",
    body: &[
        "    let sum = limit;",
        "    for (const value of values) {",
        "        sum += value % limit;",
        "    }",
        "",
        "    // The scale.",
        "    const scale = (part) => {",
        "        return part * 3;",
        "    };",
        "    return scale(sum);",
    ],
    open: "{",
    close: "}",
    documentation: [
        "/** Adds up. */\n",
        "/**\n * Adds up what is left.\n */\n",
        "// Sums.\n//\n// Twice.\n",
    ],
    note: RUST.note,
    long_note: RUST.long_note,
    inserted: RUST.inserted,
    rewritten: "    return values.length / limit;",
    attributes: ["async ", "async "],
    parameter: ("limit)", "limit, more)"),
    qualifier: ("limit)", "limit = 1)"),
    first: "function first() {\n    return 2;\n}\n\n",
    last: "\nfunction last() {\n    let sum = 5;\n    return sum;\n}\n",
    twin: "const x = 7;\n",
    joins: true,
    comma: ",",
};

const TYPESCRIPT: Style = Style {
    extension: "ts",
    signature: "@(values: number[], limit: number): number",
    parameter: ("limit: number)", "limit: number, more?: string)"),
    qualifier: ("limit: number)", "limit: bigint)"),
    ..JAVASCRIPT
};

const METHODS: [&str; 2] = [
    "first() {\n    return 2;\n}\n\n",
    "\nlast() {\n    let sum = 5;\n    return sum;\n}\n",
];

const fn setting(
    style: &'static Style,
    name: &'static str,
    modifiers: &'static str,
    before: &'static str,
    after: &'static str,
    qualified: &'static str,
) -> Setting {
    Setting {
        name,
        style,
        before,
        after,
        modifiers,
        qualified,
        indent: 0,
        signature: None,
        attributes: None,
        qualifier: None,
        twin: None,
        neighbours: None,
    }
}

const fn rust(
    name: &'static str,
    modifiers: &'static str,
    before: &'static str,
    after: &'static str,
    qualified: &'static str,
) -> Setting {
    setting(&RUST, name, modifiers, before, after, qualified)
}

const fn c(
    name: &'static str,
    modifiers: &'static str,
    before: &'static str,
    after: &'static str,
) -> Setting {
    setting(&C, name, modifiers, before, after, "@")
}

const fn cpp(
    name: &'static str,
    modifiers: &'static str,
    before: &'static str,
    after: &'static str,
    qualified: &'static str,
) -> Setting {
    setting(&CPP, name, modifiers, before, after, qualified)
}

const fn python(
    name: &'static str,
    indent: usize,
    before: &'static str,
    after: &'static str,
    qualified: &'static str,
) -> Setting {
    Setting {
        indent,
        ..setting(&PYTHON, name, "", before, after, qualified)
    }
}

const fn member(style: &'static Style, name: &'static str, before: &'static str) -> Setting {
    Setting {
        neighbours: Some(METHODS),
        twin: Some("static x = 7;\n"),
        ..setting(style, name, "", before, "}\n", "T::@")
    }
}

pub(crate) const SETTINGS: &[Setting] = &[
    rust("free", "pub ", "", "", "@"),
    rust("async", "async ", "", "", "@"),
    rust("const", "pub(crate) const ", "", "", "@"),
    rust("extern", "pub unsafe extern \"C\" ", "", "", "@"),
    rust("module", "pub ", "mod a {\nmod b {\n", "}\n}\n", "a::b::@"),
    rust(
        "test",
        "",
        "#[cfg(test)]\nmod tests {\nuse super::*;\n",
        "}\n",
        "tests::@",
    ),
    rust("method", "pub ", "struct T;\nimpl T {\n", "}\n", "T::@"),
    rust(
        "generic impl",
        "",
        "struct T<'a, A>(&'a A);\nimpl<'a, A: Copy> T<'a, A> {\n",
        "}\n",
        "T::@",
    ),
    rust(
        "trait impl",
        "",
        "struct T;\nimpl U for T {\n",
        "}\n",
        "<T as U>::@",
    ),
    rust(
        "generic trait impl",
        "",
        "impl<A> From<Vec<A>> for T<A> {\n",
        "}\n",
        "<T as From<Vec<A>>>::@",
    ),
    rust(
        "trait default",
        "",
        "trait U {\nfn must(&self);\n",
        "}\n",
        "U::@",
    ),
    rust(
        "second of two impls",
        "",
        "impl A { fn @(v: &[u32]) -> u32 { v[0] } }\nimpl B {\n",
        "}\nimpl C { fn @(v: &[u32]) -> u32 { v[2] } }\n",
        "B::@",
    ),
    rust(
        "the same name in two modules",
        "",
        "mod a { pub fn @(v: &[u32]) -> u32 { v[0] } }\nmod b {\n",
        "}\n",
        "b::@",
    ),
    rust(
        "nested",
        "",
        "fn outer(values: &[u32]) -> u32 {\n    let first = values[0];\n",
        "    first + values[1]\n}\n",
        "outer::@",
    ),
    rust(
        "method in a function",
        "",
        "fn outer() -> u32 {\n    struct Q;\n    impl Q {\n",
        "    }\n    Q::first()\n}\n",
        "outer::Q::@",
    ),
    rust(
        "in a macro call",
        "pub ",
        "cfg_if! {\n    if #[cfg(unix)] {\n",
        "    }\n}\n",
        "@",
    ),
    rust(
        "beside broken code",
        "pub ",
        "",
        "fn broken(a: u32 { a + ; }\n",
        "@",
    ),
    c("free C", "static ", "#include <a.h>\n", ""),
    c(
        "inline C",
        "static inline ",
        "#define LIMIT 3\n",
        "struct s { int a; };\n",
    ),
    c("C in ifdef", "", "#ifdef FAST\n", "#endif\n"),
    c(
        "C in else",
        "",
        "#ifdef FAST\nint other(void) { return 3; }\n#else\n",
        "#endif\n",
    ),
    c("C in extern block", "", "extern \"C\" {\n", "}\n"),
    cpp("free C++", "static ", "#include <vector>\n", "", "@"),
    cpp(
        "in namespaces",
        "",
        "namespace a {\nnamespace b::c {\n",
        "}\n}\n",
        "a::b::c::@",
    ),
    cpp(
        "in an anonymous namespace",
        "",
        "namespace {\n",
        "}\n",
        "(anonymous namespace)::@",
    ),
    cpp(
        "in a class",
        "",
        "class T : public U {\npublic:\n",
        "};\n",
        "T::@",
    ),
    cpp(
        "virtual in a struct",
        "virtual ",
        "struct T {\n    int a;\n",
        "};\n",
        "T::@",
    ),
    cpp(
        "in a class template",
        "",
        "template <typename A, int N = 3>\nclass T {\n",
        "};\n",
        "T::@",
    ),
    cpp(
        "in a specialization",
        "",
        "template <>\nstruct T<int> {\n",
        "};\n",
        "T<int>::@",
    ),
    Setting {
        signature: Some(
            "template <typename A>\n§unsigned @(const std::vector<unsigned> &values, unsigned limit)",
        ),
        ..cpp("a function template", "", "", "", "@")
    },
    Setting {
        signature: Some("unsigned T::@(const std::vector<unsigned> &values, unsigned limit)"),
        ..cpp(
            "out of line",
            "",
            "namespace n {\nstruct T { unsigned x(); };\n",
            "}\n",
            "n::T::@",
        )
    },
    Setting {
        signature: Some(
            "template <typename A>\n§unsigned T<A>::@(const std::vector<unsigned> &values, unsigned limit)",
        ),
        ..cpp("out of line of a template", "", "", "", "T::@")
    },
    cpp(
        "beside overloads",
        "",
        "int @(int a) { return a; }\n",
        "int @(long a) { return a + 1; }\n",
        "@",
    ),
    setting(&GO, "free Go", "func ", "package a\n", "", "@"),
    setting(
        &GO,
        "a method",
        "func (t *T) ",
        "package a\n\ntype T struct{ a int }\n",
        "",
        "T::@",
    ),
    setting(
        &GO,
        "a method of a generic type",
        "func (t *T[A, B]) ",
        "package a\n",
        "func (t U) @(a int) int { return a }\n",
        "T::@",
    ),
    Setting {
        qualifier: Some(("@(", "@[X any](")),
        ..setting(
            &GO,
            "beside constants",
            "func ",
            "package a\n\nimport \"os\"\n\nconst (\n\tA = iota\n\tB\n)\n",
            "var table = map[string]int{\"a\": 1}\n",
            "@",
        )
    },
    python("free Python", 0, "import os\n", "", "@"),
    python("a Python method", 4, "class T(U):\n    a = 3\n", "", "T::@"),
    python(
        "a method of an inner class",
        8,
        "class T:\n    class V:\n        \"\"\"Inner.\"\"\"\n",
        "",
        "T::V::@",
    ),
    python(
        "nested Python",
        4,
        "def outer(a):\n    b = a\n",
        "    return b\n",
        "outer::@",
    ),
    python(
        "under a condition",
        4,
        "if os.name == 'posix':\n",
        "else:\n    pass\n",
        "@",
    ),
    Setting {
        modifiers: "async ",
        ..python("async Python", 0, "", "", "@")
    },
    setting(
        &JAVASCRIPT,
        "free JavaScript",
        "function ",
        "'use strict';\n",
        "",
        "@",
    ),
    Setting {
        attributes: Some(["async ", "async "]),
        signature: Some("export §function @(values, limit)"),
        ..setting(&JAVASCRIPT, "exported", "", "import a from 'a';\n", "", "@")
    },
    Setting {
        signature: Some("const @ = §(values, limit) =>"),
        ..setting(&JAVASCRIPT, "an arrow", "", "", "", "@")
    },
    Setting {
        signature: Some("exports.@ = §function (values, limit)"),
        ..setting(&JAVASCRIPT, "assigned", "", "", "", "@")
    },
    Setting {
        signature: Some("T.prototype.@ = §function (values, limit)"),
        ..setting(
            &JAVASCRIPT,
            "of a prototype",
            "",
            "function T() {}\n",
            "",
            "T::@",
        )
    },
    member(&JAVASCRIPT, "a class", "class T extends U {\n"),
    member(
        &JAVASCRIPT,
        "an exported class",
        "export default class T {\n",
    ),
    Setting {
        twin: Some("const y = 7;\n"),
        ..setting(
            &JAVASCRIPT,
            "nested JavaScript",
            "function ",
            "function outer(a) {\n    const b = a;\n",
            "    return b;\n}\n",
            "outer::@",
        )
    },
    setting(
        &TYPESCRIPT,
        "free TypeScript",
        "function ",
        "interface A { a: string }\n",
        "",
        "@",
    ),
    Setting {
        attributes: Some(["@log\n", "@sealed()\n"]),
        ..member(
            &TYPESCRIPT,
            "a TypeScript class",
            "export class T<A> implements U {\n",
        )
    },
    Setting {
        qualifier: Some(("@(", "@<X>(")),
        ..setting(
            &TYPESCRIPT,
            "in a TypeScript namespace",
            "export function ",
            "namespace N {\n",
            "}\n",
            "N::@",
        )
    },
];

impl Setting {
    pub(crate) fn path(&self) -> String {
        format!("src/a.{}", self.style.extension)
    }

    pub(crate) fn qualified(&self, name: &str) -> String {
        self.qualified.replace('@', name)
    }
}
