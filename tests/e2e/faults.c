// A disk that fails and a clock that jumps, loaded before the program (LD_PRELOAD; tests/e2e/faults.sh builds it).
//   FAULT="write 28 3 /folder/"   from the third call of write on a file below the folder: errno 28 (open counts where a file is made or written)
//   FAULT_ONCE=1                  that call alone
//   FAULT_COUNT=FILE              appends how many calls there were, at the end
//   CLOCK_JUMPS=1                 what the clock says is a year early, right, or a year late, in turn
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define ORIGINAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static char call_to_fail[16], folder[512];
static int error_number, first;
static int calls;

__attribute__((constructor)) static void begin(void) {
  const char* fault = getenv("FAULT");
  if (fault && sscanf(fault, "%15s %d %d %511s", call_to_fail, &error_number, &first, folder) != 4) abort();
}

__attribute__((destructor)) static void end(void) {
  FILE* file = getenv("FAULT_COUNT") ? fopen(getenv("FAULT_COUNT"), "a") : NULL;
  if (file) fprintf(file, "%d\n", calls), fclose(file);
}

static int fails(const char* name, const char* path) {
  if (strcmp(name, call_to_fail) != 0 || strncmp(path, folder, strlen(folder)) != 0) return 0;
  const int call = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
  if (first == 0 || call < first || (call > first && getenv("FAULT_ONCE"))) return 0;
  errno = error_number;
  return 1;
}

static int fails_on(const char* name, int descriptor) {
  char link[64], path[4096];
  if (strcmp(name, call_to_fail) != 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return fails(name, path);
}

#define OPEN(name)                                                                      \
  int name(const char* path, int flags, ...) {                                          \
    va_list more;                                                                       \
    va_start(more, flags);                                                              \
    const mode_t mode = va_arg(more, mode_t);                                           \
    va_end(more);                                                                       \
    if ((flags & (O_CREAT | O_WRONLY | O_RDWR)) && fails("open", path)) return -1;      \
    return ORIGINAL(name)(path, flags, mode);                                           \
  }
OPEN(open)
OPEN(open64)

ssize_t write(int descriptor, const void* bytes, size_t count) {
  return fails_on("write", descriptor) ? -1 : ORIGINAL(write)(descriptor, bytes, count);
}
ssize_t read(int descriptor, void* bytes, size_t count) {
  return fails_on("read", descriptor) ? -1 : ORIGINAL(read)(descriptor, bytes, count);
}
int fsync(int descriptor) { return fails_on("fsync", descriptor) ? -1 : ORIGINAL(fsync)(descriptor); }
int ftruncate(int descriptor, off_t length) { return fails_on("ftruncate", descriptor) ? -1 : ORIGINAL(ftruncate)(descriptor, length); }
int rename(const char* from, const char* to) { return fails("rename", from) ? -1 : ORIGINAL(rename)(from, to); }
int mkdir(const char* path, mode_t mode) { return fails("mkdir", path) ? -1 : ORIGINAL(mkdir)(path, mode); }

static time_t jump(void) {
  static unsigned turn;
  if (!getenv("CLOCK_JUMPS")) return 0;
  return ((time_t)(__atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED) * 2654435761u >> 16) % 3 - 1) * 365 * 86400;
}
int clock_gettime(clockid_t clock, struct timespec* now) {
  const int status = ORIGINAL(clock_gettime)(clock, now);
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += jump();
  return status;
}
int gettimeofday(struct timeval* now, void* zone) {
  const int status = ORIGINAL(gettimeofday)(now, zone);
  now->tv_sec += jump();
  return status;
}
time_t time(time_t* at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}
