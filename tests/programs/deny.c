/* Runs a command where perf events are denied as containers deny them, and ptrace too when asked:
   deny ERRNO UID [ptrace] -- COMMAND...
   A filter answers perf_event_open with the error number; a user id other than 0 is taken on. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    unsigned answer = SECCOMP_RET_ERRNO | (unsigned)atoi(argv[1]);
    int uid = atoi(argv[2]);
    int both = !strcmp(argv[3], "ptrace");
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_perf_event_open, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, both ? __NR_ptrace : __NR_perf_event_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    if (uid && (setgid((gid_t)uid) || setuid((uid_t)uid))) return 3;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 4;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) return 5;
    char **command = argv + (both ? 5 : 4);
    execvp(command[0], command);
    perror(command[0]);
    return 6;
}
