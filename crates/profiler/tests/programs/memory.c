/* `memory BYTES`: touches so much memory, and tells its own largest resident set in KiB. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    size_t bytes = argc > 1 ? strtoull(argv[1], 0, 10) : 0;
    char *memory = malloc(bytes + 1);
    memset(memory, 7, bytes);
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "VmHWM:", 6)) printf("%lu\n", strtoul(line + 6, 0, 10));
    return memory[bytes / 2] == 7 ? 0 : 1;
}
