/* Three quarters of the work under `heavy`, one quarter under `light`, all of it in `step`, a leaf
 * that needs no frame; with LIBC in the C library's code, which has no frames either. Rounds are the
 * first argument. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef LIBC
static char zeros[1500000];
static uint64_t step(uint64_t x, long n) { return x + (memchr(zeros, 1, 20 * n) != 0); }
#else
__attribute__((noinline)) uint64_t step(uint64_t x, long n) {
    for (long i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        x ^= x >> 29;
    }
    return x;
}
#endif

__attribute__((noinline)) uint64_t heavy(uint64_t x) { return step(x, 75000) + 1; }

__attribute__((noinline)) uint64_t light(uint64_t x) { return step(x, 25000) + 2; }

int main(int argc, char **argv) {
    long rounds = argc > 1 ? atol(argv[1]) : 1000;
    uint64_t x = 1;
    for (long i = 0; i < rounds; i++) {
        x = heavy(x);
        x = light(x);
    }
    printf("%lu\n", (unsigned long)x);
    return 0;
}
