/* Exits 0 when a cpu-clock event opens on this process, user code alone; prints why not otherwise.
   Asks the kernel directly, so that it is independent of what hotproof thinks. */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    struct perf_event_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.size = sizeof attr;
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_CPU_CLOCK;
    attr.exclude_kernel = 1;
    if (syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0) >= 0) return 0;
    printf("perf_event_open: %s\n", strerror(errno));
    return 1;
}
