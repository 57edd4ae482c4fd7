/* `crowd N MS`: N threads at once, named `crowd-I`, each with so many milliseconds of CPU time, one
 * after the other.
 * `crowd load FILE`: half a second of work in a library that is loaded for it. With LATE defined,
 * this is that library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static volatile uint64_t sink;

static int64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

__attribute__((noinline)) void late_work(long ms) {
    for (int64_t end = cpu_ns() + ms * 1000000LL; cpu_ns() < end;)
        for (int i = 0; i < 5000; i++) sink = sink * 31 + i;
}

#ifndef LATE
static pthread_barrier_t together;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static long ms;

static void *thread_main(void *which) {
    char name[16];
    snprintf(name, sizeof name, "crowd-%ld", (long)which);
    pthread_setname_np(pthread_self(), name);
    pthread_barrier_wait(&together);
    pthread_mutex_lock(&turn);
    late_work(ms);
    pthread_mutex_unlock(&turn);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "load") == 0) {
        void *library = dlopen(argv[2], RTLD_NOW);
        if (!library) return 1;
        void (*work)(long) = (void (*)(long))dlsym(library, "late_work");
        work(500);
        return 0;
    }
    long count = argc > 1 ? atol(argv[1]) : 1;
    ms = argc > 2 ? atol(argv[2]) : 1;
    pthread_t *threads = calloc(count, sizeof *threads);
    pthread_barrier_init(&together, 0, count);
    for (long i = 0; i < count; i++) pthread_create(&threads[i], 0, thread_main, (void *)i);
    for (long i = 0; i < count; i++) pthread_join(threads[i], 0);
    return 0;
}
#endif
