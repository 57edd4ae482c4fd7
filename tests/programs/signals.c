/* Counts signals that it sends itself while it works, is stopped and continued by its child, starts
   threads and children, and executes itself from a thread. Prints what it counted. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t counted;
static volatile unsigned long sink;
static char **arguments;

static void count(int signal) { (void)signal; counted++; }

__attribute__((noinline)) static void work(long ms) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    long long end = t.tv_sec * 1000000000LL + t.tv_nsec + ms * 1000000LL;
    do {
        for (long i = 0; i < 20000; i++) sink = sink * 31 + i;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    } while (t.tv_sec * 1000000000LL + t.tv_nsec < end);
}

static void *thread(void *unused) { (void)unused; work(20); return 0; }

static void *execute(void *unused) {
    (void)unused;
    char *again[] = {arguments[0], "again", 0};
    execv(again[0], again);
    return 0;
}

int main(int argc, char **argv) {
    arguments = argv;
    if (argc > 1 && !strcmp(argv[1], "again")) {
        work(50);
        puts("again");
        return 7;
    }
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, 0);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, 0);
    for (int i = 0; i < 500; i++) {
        raise(SIGUSR1);
        if (i % 10 == 0) work(1);
    }
    kill(getpid(), SIGUSR2);
    int got = 0;
    sigwait(&set, &got);
    printf("signals %d %d\n", (int)counted, got == SIGUSR2);
    pid_t parent = getpid(), child = fork();
    if (!child) {
        usleep(20000);
        kill(parent, SIGSTOP);
        usleep(50000);
        kill(parent, SIGCONT);
        _exit(3);
    }
    work(100);
    int status;
    waitpid(child, &status, 0);
    printf("child %d\n", WEXITSTATUS(status));
    int ended = 0;
    for (int i = 0; i < 40; i++) {
        child = fork();
        if (!child) { if (i % 4 == 0) work(5); if (i % 8 == 1) raise(SIGKILL); _exit(i); }
        waitpid(child, &status, 0);
        ended += WIFEXITED(status) ? WEXITSTATUS(status) == i : WTERMSIG(status) == SIGKILL;
    }
    printf("children %d\n", ended);
    pthread_t threads[40];
    for (int i = 0; i < 40; i++) pthread_create(&threads[i], 0, thread, 0);
    for (int i = 0; i < 40; i++) pthread_join(threads[i], 0);
    /* Sleeping system calls must not be disturbed. */
    struct timespec wait = {0, 100000000}, rest = {0, 0};
    printf("slept %d\n", nanosleep(&wait, &rest));
    fflush(stdout);
    pthread_t other;
    pthread_create(&other, 0, execute, 0);
    for (;;) pause();
}
