/* `tree threads N`: four threads with names, each N rounds of its own function.
 * `tree fork N`: the child does three times the work of the parent.
 * `tree forks N`: N children one after the other, each with a third of a millisecond of work.
 * `tree deep N`: N rounds below a recursion of 300 calls with frames of at least 64 bytes.
 * `tree deeper N DEPTH`: the same below DEPTH calls.
 * `tree signal N`: N rounds in a signal handler that interrupted `waiting`. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile uint64_t sink;
static long rounds;

__attribute__((noinline)) uint64_t step(uint64_t x, long n) {
    for (long i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        x ^= x >> 29;
    }
    return x;
}

#define WORK(name)                                                                                 \
    __attribute__((noinline)) void name(long n) {                                                  \
        for (long i = 0; i < n; i++) sink += step(i, 20000);                                       \
    }
WORK(work_a)
WORK(work_b)
WORK(work_c)
WORK(work_d)

typedef void (*work_fn)(long);
static const work_fn works[] = {work_a, work_b, work_c, work_d};
static const char *const names[] = {"worker-a", "worker-b", "worker-c", "worker-d"};

static void *thread_main(void *which) {
    long i = (long)which;
    pthread_setname_np(pthread_self(), names[i]);
    works[i](rounds);
    return 0;
}

__attribute__((noinline)) uint64_t descend(int depth) {
    volatile char frame[64];
    frame[0] = (char)depth;
    if (depth == 0) {
        work_a(rounds);
        return sink;
    }
    return descend(depth - 1) + (uint64_t)frame[0];
}

static void handler(int signal) {
    (void)signal;
    work_a(rounds);
    sink++;
}

__attribute__((noinline)) void waiting(void) {
    raise(SIGUSR1);
    sink++;
}

int main(int argc, char **argv) {
    rounds = argc > 2 ? atol(argv[2]) : 1000;
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "threads")) {
        pthread_t threads[4];
        for (long i = 0; i < 4; i++) pthread_create(&threads[i], 0, thread_main, (void *)i);
        for (long i = 0; i < 4; i++) pthread_join(threads[i], 0);
    } else if (!strcmp(what, "fork")) {
        pid_t child = fork();
        if (child == 0) {
            work_b(3 * rounds);
            _exit(0);
        }
        work_a(rounds);
        waitpid(child, 0, 0);
    } else if (!strcmp(what, "forks")) {
        for (long i = 0; i < rounds; i++) {
            if (fork() == 0) {
                work_a(10);
                _exit(0);
            }
            wait(0);
        }
    } else if (!strcmp(what, "deep")) {
        sink += descend(300);
    } else if (!strcmp(what, "deeper") && argc > 3) {
        sink += descend(atoi(argv[3]));
    } else if (!strcmp(what, "later deep") && argc > 3) {
        work_a(rounds);
        sink += descend(atoi(argv[3]));
    } else if (!strcmp(what, "signal")) {
        signal(SIGUSR1, handler);
        waiting();
    } else {
        return 2;
    }
    return 0;
}
