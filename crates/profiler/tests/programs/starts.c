// Starts 60 threads and 20 processes, one each millisecond. Each works a little now and then, so that
// tests beside this one have the machine, until it is killed.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

static void *work(void *none) {
    for (;;) {
        for (volatile int i = 0; i < 100000; i++) {
        }
        usleep(50000);
    }
    return none;
}

int main(void) {
    for (int i = 0; i < 80; i++) {
        pthread_t thread;
        usleep(1000);
        if (i % 4 == 3) {
            if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                work(0);
            }
        } else {
            pthread_create(&thread, 0, work, 0);
        }
    }
    for (;;) {
        pause();
    }
}
