/* Two callers that take turns on leaves they share: one caller is behind 70 % of each leaf's
 * work. One leaf has no stack frame at all, the other one of 5 KB. */
#include "work.h"

enum { UNIT = 12000 /* about 20 microseconds, far below a sampling period */ };

static WHOLE uint64_t frameless(uint64_t x) {
    SPIN(x, UNIT, 0x5bd1e99512345671);
    return x;
}

static WHOLE uint64_t spacious(uint64_t x) {
    char frame[5120];
    /* As a real function does with its frame: the kernel copies no stack from a page that was
       never touched, and then only the leaf is known. */
    *(volatile char *)frame = 0;
    __asm__ volatile("" ::"r"(frame) : "memory");
    SPIN(x, UNIT, 0x27d4eb2f165667c5);
    __asm__ volatile("" ::"r"(frame) : "memory");
    return x;
}

static WHOLE uint64_t often(uint64_t x, int wide) {
    x = wide ? spacious(x + 1) : frameless(x + 1);
    AFTER_CALL();
    return x ^ 1;
}

static WHOLE uint64_t rarely(uint64_t x, int wide) {
    x = wide ? spacious(x + 2) : frameless(x + 2);
    AFTER_CALL();
    return x ^ 2;
}

static WHOLE uint64_t alternate(struct deck *deck, uint64_t x) {
    for (int card; (card = deck_deal(deck)) >= 0;)
        x = card % 2 == 0 ? often(x, card / 2) : rarely(x, card / 2);
    AFTER_CALL();
    return x;
}

int main(int argc, char **argv) {
    static const int weights[] = {21, 9, 14, 6};
    static const char *const chains[] = {
        "main;alternate;often;frameless",
        "main;alternate;rarely;frameless",
        "main;alternate;often;spacious",
        "main;alternate;rarely;spacious",
    };
    struct deck deck;
    deck_open(&deck, argc, argv, weights, 4);
    use(alternate(&deck, seed()));
    for (int card = 0; card < 4; card++)
        printf("%s %llu\n", chains[card], (unsigned long long)deck.counts[card]);
    return 0;
}
