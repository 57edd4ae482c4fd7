/* A program that runs itself as a child process; the child does 40 % of the work. */
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

enum { UNIT = 1200000 /* about 2 ms */ };

static WHOLE uint64_t parent_work(uint64_t x) {
    SPIN(x, UNIT, 0x5bd1e99512345671);
    return x;
}

static WHOLE uint64_t child_work(uint64_t x) {
    SPIN(x, UNIT, 0x27d4eb2f165667c5);
    return x;
}

/* Does a unit for each byte on standard input, and answers it. */
static WHOLE int serve(void) {
    uint64_t x = seed();
    char byte;
    while (read(STDIN_FILENO, &byte, 1) == 1) {
        x = child_work(x);
        if (write(STDOUT_FILENO, &byte, 1) != 1)
            return 1;
    }
    use(x);
    return 0;
}

static WHOLE void ask(int to_child, int from_child) {
    char byte = 1;
    if (write(to_child, &byte, 1) != 1 || read(from_child, &byte, 1) != 1)
        exit(1);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "serve") == 0) {
        int failed = serve();
        AFTER_CALL();
        return failed;
    }
    int to_child[2], from_child[2];
    if (pipe(to_child) != 0 || pipe(from_child) != 0)
        return 1;
    pid_t child = fork();
    if (child == 0) {
        dup2(to_child[0], STDIN_FILENO);
        dup2(from_child[1], STDOUT_FILENO);
        close(to_child[0]);
        close(to_child[1]);
        close(from_child[0]);
        close(from_child[1]);
        char self[4096] = {0};
        if (readlink("/proc/self/exe", self, sizeof self - 1) > 0)
            execl(self, argv[0], "serve", (char *)NULL);
        _exit(1);
    }
    close(to_child[0]);
    close(from_child[1]);

    static const int weights[] = {12, 8};
    struct deck deck;
    deck_open(&deck, argc, argv, weights, 2);
    uint64_t x = seed();
    for (int card; (card = deck_deal(&deck)) >= 0;) {
        if (card == 0)
            x = parent_work(x);
        else
            ask(to_child[1], from_child[0]);
    }
    use(x);
    close(to_child[1]);
    int status = 1;
    waitpid(child, &status, 0);
    printf("main;parent_work %llu\n", (unsigned long long)deck.counts[0]);
    puts("main;ask 0");
    printf("main;serve;child_work %llu\n", (unsigned long long)deck.counts[1]);
    return status;
}
