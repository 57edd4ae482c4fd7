//! What is a function, and what is only layout, in each language beside Rust and C.

use hotproof_diff::changes::{Language, functions};

use crate::commit::changes_of_edit;

/// `name first-last` of each function.
fn outline(path: &str, source: &str) -> Vec<String> {
    let language = Language::of_file(path, source.as_bytes()).expect("a known language");
    functions(language, source.as_bytes())
        .iter()
        .map(|f| format!("{} {}-{}", f.key(), f.first_line, f.last_line))
        .collect()
}

#[test]
fn functions_of_cpp_have_qualified_names() {
    let source = r#"#define SQUARE(x) ((x) * (x))
namespace a::b {
class S : public T {
public:
    S() : x(1) {}
    explicit S(int y);
    ~S() { x = 0; }
    S &operator=(const S &) = default;
    bool operator==(const S &o) const { return x == o.x; }
    explicit operator bool() const { return x; }
    int operator()(int y) { return y; }
    void declared() const;
    template <typename U> U as() const { return U(x); }
private:
    struct Inner { int go() { return 3; } };
    int x = 3;
};
S::S(int y) : x(y) {
    auto f = [y](int z) { return y + z; };
    x = f(1);
}
void S::declared() const {}
S operator+(const S &l, const S &r) { return l; }
auto free = [](int z) { return z; };
}
template <typename T, int N>
struct Stack<T[N]> {
    T *top() const & noexcept { return nullptr; }
};
template <typename T>
template <typename U>
void Stack<T>::push(U &&u) { keep(u); }
template <> int Stack<int>::size() { return 3; }
extern "C" { int c_name(void) { return 1; } }
int main(int argc, char **argv) try { return 0; } catch (...) { return 1; }
static inline const char *(*pick(int i))(int) { return 0; }
"#;
    let expected = [
        "SQUARE 1-1",
        "a::b::S::S 5-5",
        "a::b::S::~S 7-7",
        "a::b::S::operator= 8-8",
        "a::b::S::operator== 9-9",
        "a::b::S::operator bool 10-10",
        "a::b::S::operator() 11-11",
        "a::b::S::as 13-13",
        "a::b::S::Inner::go 15-15",
        "a::b::S::S#2 18-21",
        "a::b::S::declared 22-22",
        "a::b::operator+ 23-23",
        "a::b::free 24-24",
        "Stack<T[N]>::top 28-28",
        "Stack::push 30-32",
        "Stack<int>::size 33-33",
        "c_name 34-34",
        "main 35-35",
        "pick 36-36",
    ];
    assert_eq!(outline("a.cpp", source), expected);
}

#[test]
fn functions_of_go_have_their_receivers() {
    let source = "package a\n\n//go:noinline\nfunc Free[T any](x T) T {\n\tf := func() {}\n\tf()\n\treturn x\n}\n\
        func (s *Stack[T]) Push(x T) { s.a = append(s.a, x) }\n\
        func (s Stack[T]) Len() int { return 1 }\n\
        func init() {}\nfunc init() { x() }\n\
        var handler = func(a int) int {\n\treturn a\n}\n\
        func assembly(a int) int\n";
    let expected = [
        "Free 3-8",
        "Stack::Push 9-9",
        "Stack::Len 10-10",
        "init 11-11",
        "init#2 12-12",
        "handler 13-15",
    ];
    assert_eq!(outline("a.go", source), expected);
}

#[test]
fn functions_of_python_have_their_classes() {
    let source = "\
import os

@cache
@other(1)
def free(x):
    \"\"\"Says.\"\"\"
    def inner():
        return lambda: x
    return inner

class A(B):
    kind = 3
    @property
    def value(self): return 1
    @value.setter
    def value(self, x): self.x = x
    class C:
        async def go(self):
            await x

if os.name:
    def free(x): pass
double = lambda x: 2 * x
";
    let expected = [
        "free 3-9",
        "free::inner 7-8",
        "A::value 13-14",
        "A::value#2 15-16",
        "A::C::go 18-19",
        "free#2 22-22",
        "double 23-23",
    ];
    assert_eq!(outline("a.py", source), expected);
}

#[test]
fn functions_of_scripts_have_the_names_they_are_given() {
    let source = "\
function a() { const inner = () => 1; function b() {} return inner; }
async function* gen() {}
export default function () { return 1; }
export const arrow = (x) => x + 1;
const wrapped = memo(function (x) { return x; });
class T extends U {
    constructor(a) { super(a); }
    static #secret() {}
    get value() { return 1; }
    ['computed']() {}
    handler = (e) => { this.e = e; };
}
const K = class { method() {} };
T.prototype.old = function () {};
module.exports = { one() {}, two: function () {}, three: () => 3 };
describe('it', () => { const local = () => 2; });
";
    let expected = [
        "a 1-1",
        "a::b 1-1",
        "gen 2-2",
        "default 3-3",
        "arrow 4-4",
        "wrapped 5-5",
        "T::constructor 7-7",
        "T::#secret 8-8",
        "T::value 9-9",
        "T::['computed'] 10-10",
        "T::handler 11-11",
        "K::method 13-13",
        "T::old 14-14",
        "one 15-15",
        "two 15-15",
        "three 15-15",
        "local 16-16",
    ];
    assert_eq!(outline("a.js", source), expected);
    let source = "\
declare function nothing(a: string): void;
interface I { f(): void }
export abstract class T<A> implements I {
    @log() f(): void { return; }
    abstract g(): A;
    private h = async <B>(b: B): Promise<B> => b;
}
namespace N { export function f(a?: number): a is number { return !!a; } }
export function over(a: string): void;
export function over(a: any) { return a as unknown; }
";
    let expected = ["T::f 4-4", "T::h 6-6", "N::f 8-8", "over 10-10"];
    assert_eq!(outline("a.ts", source), expected);
    assert_eq!(
        outline("a.tsx", "export const V = () => <div>{x}</div>;\n"),
        ["V 1-1"]
    );
}

#[test]
fn what_a_formatter_does_is_no_change() {
    let cases = [
        (
            "a.js",
            "f('a')\nlet x = [1, 2]\n",
            "f(\"a\");\nlet x = [\n  1,\n  2,\n];\n",
        ),
        (
            "a.js",
            "a(function () { return 1 })",
            "a(\n  function () {\n    return 1;\n  },\n);\n",
        ),
        (
            "a.ts",
            "interface A { a: string, b: number }\n",
            "interface A {\n  a: string;\n  b: number;\n}\n",
        ),
        ("a.py", "x = f('a', 1)\n", "x = f(\n    \"a\",\n    1,\n)\n"),
        (
            "a.py",
            "def f():\n    '''One.'''\n    return 1\n",
            "def f():\n    \"\"\"Two.\"\"\"\n    return 1\n",
        ),
        (
            "a.py",
            "'One.'\nimport a\n",
            "# Why.\n\"Two.\"\n\nimport a\n",
        ),
        (
            "a.go",
            "package a\nfunc f() { g(1, 2) }\n",
            "package a\n\nfunc f() {\n\tg(\n\t\t1,\n\t\t2,\n\t)\n}\n",
        ),
        (
            "a.cpp",
            "int x[] = {1, 2};\n",
            "int x[] = {\n    1,\n    2,\n};\n",
        ),
    ];
    for (path, base, head) in cases {
        let changed = changes_of_edit(path, base, head);
        assert!(
            !changed.code_changed,
            "{path}: {base} => {head}: {changed:?}"
        );
    }
}

#[test]
fn what_looks_like_layout_but_is_code_counts() {
    let cases = [
        // The end of a block, which only indentation tells.
        (
            "a.py",
            "def f(a):\n    if a:\n        g()\n        h()\n",
            "def f(a):\n    if a:\n        g()\n    h()\n",
        ),
        (
            "a.py",
            "def f(a):\n    return (a)\n",
            "def f(a):\n    return (a,)\n",
        ),
        (
            "a.py",
            "def f():\n    x = 'a'\n    return x\n",
            "def f():\n    x = f'a'\n    return x\n",
        ),
        // A line that ends a statement.
        (
            "a.js",
            "function f() { return g }\n",
            "function f() { return\ng }\n",
        ),
        (
            "a.js",
            "function f() { for (;a;) g() }\n",
            "function f() { for (a;;) g() }\n",
        ),
        (
            "a.js",
            "function f() { return [,] }\n",
            "function f() { return [,,] }\n",
        ),
        (
            "a.js",
            "function f() { return 'it is' }\n",
            "function f() { return 'it  is' }\n",
        ),
        (
            "a.go",
            "package a\nfunc f() {}\n",
            "package a\n\n//go:noinline\nfunc f() {}\n",
        ),
    ];
    for (path, base, head) in cases {
        let changed = changes_of_edit(path, base, head);
        let names: Vec<&str> = changed.functions.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["f"], "{path}: {base} => {head}");
    }
}
