/* What the C test programs share: a shuffled deck of work cards that counts what it deals.
 *
 * A program deals whole decks until its budget is used up, so that the shares of its cards are
 * exact however long it runs. The order within a deck is pseudo-random, so that no sampling
 * period can beat against the program's own. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Keeps a function whole: not inlined, not cloned, nothing assumed about it by its callers. */
#define WHOLE __attribute__((noipa))

/* Makes a call no tail call, so that the caller keeps its place on the stack. */
#define AFTER_CALL() __asm__ volatile("" ::: "memory")

/* A chain of dependent operations, so that its time is its length. It is a macro, because a
 * function inlined here would be a frame. The salt makes each body different, so that no two
 * are merged into one. */
#define SPIN(x, iterations, salt)                               \
    for (uint64_t spin_i = 0; spin_i < (iterations); spin_i++) { \
        x = (x ^ (salt)) * UINT64_C(0x9e3779b97f4a7c15);         \
        x = x << 23 | x >> 41;                                   \
    }

enum { DECK_KINDS = 8, DECK_CARDS = 64 };

struct deck {
    int cards[DECK_CARDS];
    int length, next;
    uint64_t counts[DECK_KINDS];
    uint64_t dealt, random;
    uint64_t limit_decks; /* 0: limit_s counts */
    double limit_s;
};

/* CPU time of this process so far. */
static inline double deck_clock_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* A deck for the budget on the command line (`seconds S` of CPU time or `decks N`), in which card
 * i occurs weights[i] times. */
static inline void deck_open(struct deck *deck, int argc, char **argv, const int *weights,
                             int kinds) {
    memset(deck, 0, sizeof *deck);
    for (int kind = 0; kind < kinds; kind++)
        for (int i = 0; i < weights[kind]; i++)
            deck->cards[deck->length++] = kind;
    deck->next = deck->length;
    deck->random = UINT64_C(0x9e3779b97f4a7c15);
    if (argc == 3 && strcmp(argv[1], "seconds") == 0) {
        deck->limit_s = atof(argv[2]);
    } else if (argc == 3 && strcmp(argv[1], "decks") == 0 && atoll(argv[2]) > 0) {
        deck->limit_decks = strtoull(argv[2], NULL, 10);
    } else {
        fprintf(stderr, "usage: PROGRAM seconds S | decks N\n");
        exit(2);
    }
}

/* Whether another whole deck fits into the budget. */
static inline int deck_goes_on(const struct deck *deck) {
    if (deck->limit_decks)
        return deck->dealt < deck->limit_decks;
    return deck_clock_s() < deck->limit_s;
}

/* The next card, or -1 after the last whole deck. */
static inline int deck_deal(struct deck *deck) {
    if (deck->next == deck->length) {
        if (!deck_goes_on(deck))
            return -1;
        for (int last = deck->length - 1; last > 0; last--) {
            deck->random ^= deck->random << 13;
            deck->random ^= deck->random >> 7;
            deck->random ^= deck->random << 17;
            int other = (int)(deck->random % (uint64_t)(last + 1));
            int card = deck->cards[last];
            deck->cards[last] = deck->cards[other];
            deck->cards[other] = card;
        }
        deck->next = 0;
        deck->dealt++;
    }
    int card = deck->cards[deck->next++];
    deck->counts[card]++;
    return card;
}

/* A value that the compiler does not know, from which work starts. */
static inline uint64_t seed(void) {
    uint64_t x = 1;
    __asm__ volatile("" : "+r"(x));
    return x;
}

/* Uses a result, so that the work for it is done. */
static inline void use(uint64_t x) { __asm__ volatile("" ::"r"(x)); }
