// Starts 60 threads and 20 processes, one each millisecond. When all are there, they work until it
// is killed.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static volatile int *all_there;

static void *work(void *none) {
    while (!*all_there) {
        usleep(2000);
    }
    for (volatile unsigned long i = 0;; i++) {
    }
    return none;
}

int main(void) {
    all_there = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
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
    *all_there = 1;
    for (;;) {
        pause();
    }
}
