// Spends its time in code without a file of its own, as its first argument says:
//   map      code made at run time, written down in /tmp/perf-PID.map
//   unlink   the same; the map is gone before the program ends
//   dump     the same, written down in DIR/jit-PID.dump (second argument)
//   silent   the same, not written down
//   memfd    this program once more, from a nameless file
//   deleted  this program, which deletes its own file (second argument)
//   replaced this program, which moves a file (third argument) over its own (second argument)
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const unsigned char LOOP[] = {
    0x48, 0xff, 0xcf,                   // dec rdi
    0x75, 0xfb,                         // jnz to the start
    0xc3,                               // ret
};
static const uint64_t STEPS = 1500000000;

__attribute__((noinline)) void spin_in_file(uint64_t steps) {
    for (volatile uint64_t i = 0; i < steps; i++) {
    }
}

static void write_dump(const char *folder, void *code) {
    char path[4096];
    snprintf(path, sizeof path, "%s/jit-%d.dump", folder, getpid());
    int file = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
    uint32_t header[6] = {0x4a695444, 1, 40, 62, 0, (uint32_t)getpid()};
    uint64_t zeros[2] = {0, 0};
    write(file, header, sizeof header);
    write(file, zeros, sizeof zeros);
    mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0); // Tells profilers where it is.
    uint64_t start = (uint64_t)code;
    const char source[] = "made.lang", name[] = "made_with_lines";
    uint32_t debug[4] = {2, 16 + 16 + 16 + sizeof source, 0, 0};
    uint64_t entries[3] = {start, 1, start};
    uint32_t line[2] = {7, 0};
    write(file, debug, sizeof debug);
    write(file, entries, sizeof entries);
    write(file, line, sizeof line);
    write(file, source, sizeof source);
    uint32_t load[6] = {0, 16 + 40 + sizeof name + sizeof LOOP, 0, 0, (uint32_t)getpid(),
                        (uint32_t)getpid()};
    uint64_t place[4] = {start, start, sizeof LOOP, 1};
    write(file, load, sizeof load);
    write(file, place, sizeof place);
    write(file, name, sizeof name);
    write(file, LOOP, sizeof LOOP);
    close(file);
}

static void spin_in_memory(const char *mode, const char *folder) {
    void *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                      -1, 0);
    memcpy(code, LOOP, sizeof LOOP);
    char path[64];
    snprintf(path, sizeof path, "/tmp/perf-%d.map", getpid());
    if (!strcmp(mode, "map") || !strcmp(mode, "unlink")) {
        FILE *map = fopen(path, "w");
        fprintf(map, "%lx %zx replaced later\n", (long)code - 8, sizeof LOOP + 8);
        fprintf(map, "%lx %zx made in memory\n", (long)code, sizeof LOOP);
        fclose(map);
        // Mapped once more, so that a profiler that looks then finds the map.
        mprotect(code, 4096, PROT_READ | PROT_EXEC);
    }
    if (!strcmp(mode, "dump"))
        write_dump(folder, code);
    ((void (*)(uint64_t))code)(STEPS);
    if (!strcmp(mode, "unlink"))
        unlink(path);
}

static void run_from_memfd(char **argv, char **environment) {
    char bytes[65536];
    int from = open("/proc/self/exe", O_RDONLY), to = memfd_create("nameless", MFD_CLOEXEC);
    for (ssize_t n; (n = read(from, bytes, sizeof bytes)) > 0;)
        write(to, bytes, (size_t)n);
    argv[1] = "here";
    fexecve(to, argv, environment);
    perror("fexecve");
    exit(1);
}

int main(int argc, char **argv, char **environment) {
    const char *mode = argc > 1 ? argv[1] : "here";
    if (!strcmp(mode, "memfd"))
        run_from_memfd(argv, environment);
    if (!strcmp(mode, "deleted"))
        unlink(argv[2]);
    if (!strcmp(mode, "replaced"))
        rename(argv[3], argv[2]);
    if (strchr("mudsi", mode[0]) && strcmp(mode, "deleted"))
        spin_in_memory(mode, argc > 2 ? argv[2] : ".");
    else
        spin_in_file(STEPS / 4);
    return 0;
}
