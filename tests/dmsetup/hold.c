// SPDX-License-Identifier: Apache-2.0
// Preloaded into an engine: a write to the file that $ERA_HOLD names does not end, as on a device that takes no more
// requests; but the process can be ended meanwhile, which the kernel does not allow for a real one.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int is_held(int fd) {
  const char *name = getenv("ERA_HOLD");
  char link[64];
  char path[4096];
  if (name == NULL) {
    return 0;
  }
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) {
    return 0;
  }
  path[length] = '\0';
  return strcmp(path, name) == 0;
}

static void hold(int fd) {
  while (is_held(fd)) {
    pause();
  }
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  static ssize_t (*next)(int, const void *, size_t, off64_t);
  if (next == NULL) {
    next = dlsym(RTLD_NEXT, "pwrite64");
  }
  hold(fd);
  return next(fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  return pwrite64(fd, bytes, count, offset);
}
