/* Verifies one message N times with libopendkim, the key from memory. Prints microseconds of CPU a message.
 * usage: opendkim-bench MESSAGE KEYRECORD N */
#include <dkim.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static char record[4096];

static DKIM_CBSTAT key(DKIM *dkim, DKIM_SIGINFO *sig, unsigned char *buf, size_t len)
{
    (void)dkim, (void)sig;
    snprintf((char *)buf, len, "%s", record);
    return DKIM_CBSTAT_CONTINUE;
}

static size_t load(const char *path, char *buf, size_t max)
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(buf, 1, max - 1, f) : 0;
    if (f) fclose(f);
    buf[n] = 0;
    return n;
}

static double cpu(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_utime.tv_sec * 1e6 + u.ru_utime.tv_usec + u.ru_stime.tv_sec * 1e6 + u.ru_stime.tv_usec;
}

int main(int argc, char **argv)
{
    static char mail[1 << 20];
    if (argc != 4) return 64;
    size_t len = load(argv[1], mail, sizeof mail);
    record[strcspn(record, "\n")] = 0;
    load(argv[2], record, sizeof record);
    record[strcspn(record, "\n")] = 0;
    int n = atoi(argv[3]), good = 0;
    DKIM_LIB *lib = dkim_init(NULL, NULL);
    dkim_set_key_lookup(lib, key);
    double begin = cpu();
    for (int i = 0; i < n; i++) {
        DKIM_STAT stat;
        _Bool test;
        DKIM *dkim = dkim_verify(lib, (unsigned char *)"x", NULL, &stat);
        dkim_chunk(dkim, (unsigned char *)mail, len);
        dkim_chunk(dkim, NULL, 0);
        good += dkim_eom(dkim, &test) == DKIM_STAT_OK;
        dkim_free(dkim);
    }
    printf("opendkim %.1f us, %d of %d pass\n", (cpu() - begin) / n, good, n);
    return good == n ? 0 : 1;
}
