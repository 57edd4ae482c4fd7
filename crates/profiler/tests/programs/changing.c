/* Programs whose stacks change quickly. The innermost function says which stack it was called
 * through, so that every sample can be compared with the truth.
 *
 * `changing alternate N`: N times, two callers of one leaf with a frame of 6 KiB; `three_of_four`
 *     takes three quarters of the time. `spin_N` is called through `caller_N`.
 * `changing parser N`: a recursive descent parser of N texts. `spin_N` is called at a depth of which
 *     the remainder by 8 is N, counted in frames of `factor`.
 * `changing tree N`: N walks down a tree of 24 levels with frames of 5 KiB, left or right.
 *     `spin_N`: the first three steps below the root were the bits of N, the first of them highest.
 * `changing rooms N [lasts|goes]`: N times, `host_0` and `host_1` in turn call `roomy`, most of whose
 *     frame nobody has touched, so that copies of the stack end within it. `spin_N` is called
 *     through `host_N`. Then it stops itself: while that call of `roomy` lasts, or when it has gone
 *     and the other host has called `roomy`. It stops before the first, too. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static volatile uint64_t sink;

#define SPIN(number)                                                                               \
    __attribute__((noinline)) void spin_##number(long n) {                                         \
        uint64_t x = sink + number;                                                                \
        for (long i = 0; i < n; i++) {                                                             \
            x = x * 6364136223846793005u + 1442695040888963407u;                                   \
            x ^= x >> 29;                                                                          \
        }                                                                                          \
        sink += x;                                                                                 \
    }
SPIN(0)
SPIN(1)
SPIN(2)
SPIN(3)
SPIN(4)
SPIN(5)
SPIN(6)
SPIN(7)
static void (*const spins[])(long) = {spin_0, spin_1, spin_2, spin_3,
                                      spin_4, spin_5, spin_6, spin_7};

__attribute__((noinline)) void leaf(int who, long n) {
    volatile char frame[6144];
    frame[0] = (char)who;
    spins[who](n);
    sink += (uint64_t)frame[0];
}

__attribute__((noinline)) void caller_0(void) {
    volatile char frame[6144];
    frame[0] = 0;
    leaf(0, 30000);
    sink += (uint64_t)frame[0];
}

__attribute__((noinline)) void caller_1(void) {
    volatile char frame[6144];
    frame[0] = 1;
    leaf(1, 10000);
    sink += (uint64_t)frame[0];
}

static const char *text;
static int depth;

void expression(void);

__attribute__((noinline)) void factor(void) {
    depth++;
    if (*text == '(') {
        text++;
        expression();
        text++;
    } else {
        spins[depth % 8](2000);
        text++;
    }
    depth--;
    sink++;
}

__attribute__((noinline)) void term(void) {
    factor();
    while (*text == '*') {
        text++;
        factor();
    }
    sink++;
}

__attribute__((noinline)) void expression(void) {
    term();
    while (*text == '+') {
        text++;
        term();
    }
    sink++;
}

/* Expressions of random shape: `below` more brackets may be opened. */
static char *generate(char *out, int below, uint32_t *seed) {
    int parts = 1 + below % 2;
    for (int part = 0; part < parts; part++) {
        *seed = *seed * 1664525u + 1013904223u;
        if (part > 0) *out++ = *seed >> 31 ? '+' : '*';
        if (below > 0 && *seed >> 30 != 0) {
            *out++ = '(';
            out = generate(out, below - 1, seed);
            *out++ = ')';
        } else {
            *out++ = 'x';
        }
    }
    *out = 0;
    return out;
}

void left(int level, uint32_t path);
void right(int level, uint32_t path);

enum { LEVELS = 24 };

static inline __attribute__((always_inline)) void down(int level, uint32_t path) {
    volatile char frame[5120];
    frame[0] = (char)level;
    if (level == LEVELS) {
        spins[path >> (LEVELS - 3) & 7](3000);
    } else if (path >> (LEVELS - 1 - level) & 1) {
        right(level + 1, path);
    } else {
        left(level + 1, path);
    }
    sink += (uint64_t)frame[0];
}

__attribute__((noinline)) void left(int level, uint32_t path) { down(level, path); }
__attribute__((noinline)) void right(int level, uint32_t path) { down(level, path); }

enum then { GO_ON, STOP };

__attribute__((noinline)) void roomy(int who, long n, enum then then) {
    volatile char frame[48 << 10];
    frame[0] = (char)who;
    /* Whoever reads the pages of the middle, even from outside, touches them: they are given back. */
    uintptr_t middle = ((uintptr_t)frame + (8 << 10)) & ~(uintptr_t)4095;
    madvise((void *)middle, 32 << 10, MADV_DONTNEED);
    spins[who](n);
    if (then == STOP) raise(SIGSTOP);
    sink += (uint64_t)frame[0];
}

__attribute__((noinline)) void host_0(long n, enum then then) {
    roomy(0, n, then);
    sink++;
}

__attribute__((noinline)) void host_1(long n, enum then then) {
    roomy(1, n, then);
    sink++;
}

static void (*const hosts[])(long, enum then) = {host_0, host_1};

static void rooms(long rounds, const char *what) {
    int lasts = !strcmp(what, "lasts"), goes = !strcmp(what, "goes");
    hosts[0](1, lasts || goes ? STOP : GO_ON);
    for (long i = 0; i < rounds; i++) {
        hosts[i % 2](20000000, lasts ? STOP : GO_ON);
        if (goes) hosts[(i + 1) % 2](1, STOP);
    }
}

int main(int argc, char **argv) {
    long rounds = argc > 2 ? atol(argv[2]) : 1000;
    const char *what = argc > 1 ? argv[1] : "";
    uint32_t seed = 7;
    if (!strcmp(what, "alternate")) {
        for (long i = 0; i < rounds; i++) {
            caller_0();
            caller_1();
        }
    } else if (!strcmp(what, "parser")) {
        static char buffer[1 << 20];
        for (long i = 0; i < rounds; i++) {
            generate(buffer, 12, &seed);
            text = buffer;
            expression();
        }
    } else if (!strcmp(what, "tree")) {
        for (long i = 0; i < rounds; i++) {
            seed = seed * 1664525u + 1013904223u;
            down(0, seed >> 8);
        }
    } else if (!strcmp(what, "rooms")) {
        rooms(rounds, argc > 3 ? argv[3] : "");
    } else {
        return 2;
    }
    return 0;
}
