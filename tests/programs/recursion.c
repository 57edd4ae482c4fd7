/* A recursion of 24 levels, each of which works, above a floor, and a function beside it. */
#include "work.h"

enum { LEVELS = 24, UNIT = 150000 /* about 0.25 ms */ };

static WHOLE uint64_t ground(uint64_t x) {
    SPIN(x, UNIT, 0x27d4eb2f165667c5);
    return x;
}

/* Works one unit a level, half of it after the deeper levels returned. */
static WHOLE uint64_t descend(uint64_t x, int levels) {
    SPIN(x, UNIT / 2, 0x5bd1e99512345671);
    if (levels > 1)
        x = descend(x, levels - 1);
    else
        for (int i = 0; i < LEVELS / 2; i++)
            x = ground(x);
    AFTER_CALL();
    SPIN(x, UNIT / 2, 0x5bd1e99512345671);
    return x;
}

static WHOLE uint64_t beside(uint64_t x) {
    SPIN(x, UNIT * LEVELS / 2, 0x852521810d2b4f33);
    return x;
}

int main(int argc, char **argv) {
    static const int weights[] = {1, 1};
    struct deck deck;
    deck_open(&deck, argc, argv, weights, 2);
    uint64_t x = seed();
    for (int card; (card = deck_deal(&deck)) >= 0;)
        x = card == 0 ? descend(x, LEVELS) : beside(x);
    use(x);

    char chain[16 * LEVELS] = "main";
    for (int level = 1; level <= LEVELS; level++) {
        strcat(chain, ";descend");
        printf("%s %llu\n", chain, (unsigned long long)deck.counts[0]);
    }
    printf("%s;ground %llu\n", chain, (unsigned long long)deck.counts[0] * LEVELS / 2);
    printf("main;beside %llu\n", (unsigned long long)deck.counts[1] * LEVELS / 2);
    return 0;
}
