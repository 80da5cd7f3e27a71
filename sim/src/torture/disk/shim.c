// shim.c: a disk that fails, lies or is full, for one process: preloaded before the C library, steered through a mapped page.
//   FORELOCK_SHIM_CONTROL  file of at least 64 bytes, mapped: what to do, and what was done
//   FORELOCK_SHIM_PREFIX   only files below this folder are touched
// Files opened with O_DSYNC are opened without it, and every write to them is followed by fdatasync: the same promise, in two
// steps, so that the second can fail or be left out.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { HONEST = 0, FAIL_SYNC = 1, LIE = 2, NO_SPACE = 3 };
#define FDS_MAX 65536

struct control {
  _Atomic int mode;
  _Atomic int skip; // calls that still pass before the first one is touched
  _Atomic int synced, failed, lied, refused;
};

static struct control nothing;
static struct control *control = &nothing;
static const char *prefix;
static _Atomic unsigned char tracked[FDS_MAX]; // 1: below the prefix, 2: and every write is to be durable

#define REAL(type, name, ...)                                  \
  static type (*real)(__VA_ARGS__);                            \
  if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("FORELOCK_SHIM_CONTROL");
  prefix = getenv("FORELOCK_SHIM_PREFIX");
  if (!path || !prefix) return;
  REAL(int, open, const char *, int, ...);
  int fd = real(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (page != MAP_FAILED) control = page;
  close(fd);
}

static int kind(int fd) { return fd >= 0 && fd < FDS_MAX ? tracked[fd] : 0; }

// Whether this call is one to touch in this mode.
static int strikes(int mode) {
  if (atomic_load(&control->mode) != mode) return 0;
  if (atomic_load(&control->skip) > 0) return atomic_fetch_sub(&control->skip, 1) <= 0;
  return 1;
}

static int real_fdatasync(int fd) {
  REAL(int, fdatasync, int);
  return real(fd);
}

static int sync_of(int fd, int (*how)(int)) {
  if (!kind(fd)) return how(fd);
  if (strikes(FAIL_SYNC)) {
    atomic_fetch_add(&control->failed, 1);
    errno = EIO;
    return -1;
  }
  if (strikes(LIE)) {
    atomic_fetch_add(&control->lied, 1);
    return 0;
  }
  atomic_fetch_add(&control->synced, 1);
  return how(fd);
}

static int full(int fd) {
  if (!kind(fd) || !strikes(NO_SPACE)) return 0;
  atomic_fetch_add(&control->refused, 1);
  errno = ENOSPC;
  return 1;
}

static ssize_t written(int fd, ssize_t bytes) {
  if (bytes > 0 && kind(fd) == 2 && sync_of(fd, real_fdatasync) != 0) return -1;
  return bytes;
}

static int opened(int fd, const char *path, int flags) {
  if (fd >= 0 && fd < FDS_MAX) {
    int below = prefix && strncmp(path, prefix, strlen(prefix)) == 0;
    tracked[fd] = !below ? 0 : (flags & O_DSYNC) ? 2 : 1;
  }
  return fd;
}

#define OPEN(name)                                                                             \
  int name(const char *path, int flags, ...) {                                                 \
    va_list rest;                                                                              \
    va_start(rest, flags);                                                                     \
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;                  \
    va_end(rest);                                                                              \
    REAL(int, name, const char *, int, ...);                                                   \
    int below = prefix && strncmp(path, prefix, strlen(prefix)) == 0;                          \
    return opened(real(path, below ? flags & ~(O_SYNC | O_DSYNC) : flags, mode), path, flags); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                \
  int name(int folder, const char *path, int flags, ...) {                                          \
    va_list rest;                                                                                   \
    va_start(rest, flags);                                                                          \
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;                       \
    va_end(rest);                                                                                   \
    REAL(int, name, int, const char *, int, ...);                                                   \
    int below = prefix && strncmp(path, prefix, strlen(prefix)) == 0;                               \
    return opened(real(folder, path, below ? flags & ~(O_SYNC | O_DSYNC) : flags, mode), path, flags); \
  }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
  REAL(int, close, int);
  if (fd >= 0 && fd < FDS_MAX) tracked[fd] = 0;
  return real(fd);
}

int fsync(int fd) {
  REAL(int, fsync, int);
  return sync_of(fd, real);
}

int fdatasync(int fd) { return sync_of(fd, real_fdatasync); }

ssize_t write(int fd, const void *bytes, size_t count) {
  REAL(ssize_t, write, int, const void *, size_t);
  return full(fd) ? -1 : written(fd, real(fd, bytes, count));
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(ssize_t, writev, int, const struct iovec *, int);
  return full(fd) ? -1 : written(fd, real(fd, parts, count));
}

#define PWRITE(name)                                                       \
  ssize_t name(int fd, const void *bytes, size_t count, off_t at) {        \
    REAL(ssize_t, name, int, const void *, size_t, off_t);                 \
    return full(fd) ? -1 : written(fd, real(fd, bytes, count, at));        \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name)                                                      \
  ssize_t name(int fd, const struct iovec *parts, int count, off_t at) {   \
    REAL(ssize_t, name, int, const struct iovec *, int, off_t);            \
    return full(fd) ? -1 : written(fd, real(fd, parts, count, at));        \
  }
PWRITEV(pwritev)
PWRITEV(pwritev64)
