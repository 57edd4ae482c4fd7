/* Four threads with 40, 30, 20 and 10 % of the work, in step from round to round. */
#define _GNU_SOURCE
#include <pthread.h>

#include "work.h"

enum { THREADS = 4, UNIT = 1200000 /* about 2 ms */ };

static pthread_barrier_t barrier;
static struct deck deck;
static int goes_on;

static WHOLE uint64_t grind(uint64_t x) {
    SPIN(x, UNIT, 0x5bd1e99512345671);
    return x;
}

/* Defines a thread's function, which does `units` units in each round. */
#define THREAD(name, units)                    \
    static WHOLE void *name(void *unused) {    \
        uint64_t x = seed();                   \
        for (;;) {                             \
            pthread_barrier_wait(&barrier);    \
            if (!goes_on)                      \
                break;                         \
            for (int i = 0; i < (units); i++) \
                x = grind(x);                  \
            pthread_barrier_wait(&barrier);    \
        }                                      \
        use(x);                                \
        return unused;                         \
    }

THREAD(first, 4)
THREAD(second, 3)
THREAD(third, 2)
THREAD(fourth, 1)

int main(int argc, char **argv) {
    static void *(*const functions[THREADS])(void *) = {first, second, third, fourth};
    static const char *const names[THREADS] = {"first", "second", "third", "fourth"};
    static const int weights[] = {1};
    pthread_t threads[THREADS];
    deck_open(&deck, argc, argv, weights, 1);
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, functions[i], NULL);
        pthread_setname_np(threads[i], names[i]);
    }
    while ((goes_on = deck_deal(&deck) >= 0)) {
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
    }
    pthread_barrier_wait(&barrier);
    puts("main 0");
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        printf("%s;grind %llu\n", names[i],
               (unsigned long long)deck.counts[0] * (unsigned)(THREADS - i));
    }
    return 0;
}
