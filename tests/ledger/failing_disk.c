/* Makes one kind of system call fail while a file exists: for tests, by LD_PRELOAD.
 *
 * FAIL_WHEN   the file whose existence switches the failure on
 * FAIL_CALL   fsync, fdatasync, pwrite, write or rename
 * FAIL_ERRNO  the error to fail with
 * FAIL_PATH   text that the path of the file concerned must contain
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int chosen(const char *call, const char *path) {
    const char *wanted = getenv("FAIL_CALL"), *part = getenv("FAIL_PATH");
    const char *when = getenv("FAIL_WHEN");
    if (!wanted || !part || !when || strcmp(wanted, call) || !strstr(path, part)) return 0;
    if (access(when, F_OK)) return 0;
    errno = atoi(getenv("FAIL_ERRNO"));
    return 1;
}

static int chosen_fd(const char *call, int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return chosen(call, path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) { return chosen_fd("fsync", fd) ? -1 : NEXT(fsync)(fd); }

int fdatasync(int fd) { return chosen_fd("fdatasync", fd) ? -1 : NEXT(fdatasync)(fd); }

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return chosen_fd("pwrite", fd) ? -1 : NEXT(pwrite)(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    return chosen_fd("pwrite", fd) ? -1 : NEXT(pwrite64)(fd, data, size, at);
}

ssize_t write(int fd, const void *data, size_t size) {
    return chosen_fd("write", fd) ? -1 : NEXT(write)(fd, data, size);
}

int rename(const char *from, const char *to) {
    return chosen("rename", to) ? -1 : NEXT(rename)(from, to);
}
