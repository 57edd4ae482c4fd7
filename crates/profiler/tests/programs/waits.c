/* Threads that run and wait for as long as the argument says, in milliseconds: `burner` never
 * waits, `sleeper` waits 2 ms again and again in `nap`, `worker` runs 2 ms in `burn` and waits 1 ms
 * in `nap`. Each prints its number and its CPU time in nanoseconds at its end. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile uint64_t sink;
static int64_t until_ns;

static int64_t now_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

__attribute__((noinline)) void burn(int64_t cpu_ns) {
    int64_t end = now_ns(CLOCK_THREAD_CPUTIME_ID) + cpu_ns;
    do {
        for (int i = 0; i < 20000; i++) sink = sink * 31 + i;
    } while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end);
}

__attribute__((noinline)) void nap(long ns) {
    struct timespec t = {0, ns};
    nanosleep(&t, 0);
    sink++;
}

static void *thread_main(void *argument) {
    const char *name = argument;
    pthread_setname_np(pthread_self(), name);
    while (now_ns(CLOCK_MONOTONIC) < until_ns) {
        if (name[0] != 's') burn(2000000);
        if (name[0] != 'b') nap(name[0] == 's' ? 2000000 : 1000000);
    }
    printf("%ld %lld\n", syscall(SYS_gettid), (long long)now_ns(CLOCK_THREAD_CPUTIME_ID));
    return 0;
}

int main(int argc, char **argv) {
    until_ns = now_ns(CLOCK_MONOTONIC) + (argc > 1 ? atoll(argv[1]) : 1000) * 1000000LL;
    const char *names[] = {"burner", "sleeper", "worker"};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], 0, thread_main, (void *)names[i]);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], 0);
    return 0;
}
