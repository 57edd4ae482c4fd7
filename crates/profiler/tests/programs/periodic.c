/* Runs for as many milliseconds of its own CPU time as the first argument says, in rounds of as many
 * nanoseconds of it as the second says: `first` has three tenths of each round, `second` the rest. */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static volatile uint64_t sink;

static int64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

#define PART(name)                                                                                 \
    __attribute__((noinline)) void name(int64_t end) {                                             \
        do {                                                                                       \
            for (int i = 0; i < 3000; i++) sink = sink * 31 + i;                                   \
        } while (cpu_ns() < end);                                                                  \
    }
PART(first)
PART(second)

int main(int argc, char **argv) {
    int64_t end = (argc > 1 ? atoll(argv[1]) : 1000) * 1000000LL;
    int64_t round = argc > 2 ? atoll(argv[2]) : 1003009;
    for (int64_t start = cpu_ns(); start < end; start += round) {
        first(start + round * 3 / 10);
        second(start + round);
    }
    return 0;
}
