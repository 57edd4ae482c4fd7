#include <stdlib.h>

static int by_size(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

__attribute__((noinline)) int twice(int x) { return x * 2; }

int main(void)
{
    enum { N = 20000 };
    int *list = malloc(N * sizeof *list);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < N; i++)
            list[i] = twice(i * 7919 % 10007);
        qsort(list, N, sizeof *list, by_size);
    }
    return list[5] & 1;
}
