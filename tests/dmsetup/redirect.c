// SPDX-License-Identifier: Apache-2.0
// Preloaded into a program that uses libdevmapper (dmsetup), makes it talk to an engine instead of the kernel: what it
// would open as the control device becomes a connection to the socket $ERA_REDIRECT, and each ioctl on it a frame.
//   cc -shared -fPIC -o redirect.so redirect.c -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static const char CONTROL[] = "/mapper/control";
// Where libdevmapper looks for the control device's number (a misc device) and for device-mapper's major.
static char MISC[] = "236 device-mapper\n";
static char DEVICES[] = "Character devices:\n 10 misc\n\nBlock devices:\n120 device-mapper\n";
static int control = -1;

static int is_control(const char *path) {
  size_t length = strlen(path);
  return length >= sizeof CONTROL - 1 && strcmp(path + length - (sizeof CONTROL - 1), CONTROL) == 0;
}

static int connect_engine(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, getenv("ERA_REDIRECT"), sizeof address.sun_path - 1);
  control = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(control, (struct sockaddr *)&address, sizeof address) != 0) {
    perror("redirect: connect");
    exit(99);
  }
  return control;
}

#define REDIRECT_OPEN(name)                                            \
  int name(const char *path, int flags, ...) {                         \
    static int (*next)(const char *, int, ...);                        \
    va_list arguments;                                                 \
    va_start(arguments, flags);                                        \
    int mode = va_arg(arguments, int);                                 \
    va_end(arguments);                                                 \
    if (is_control(path)) return connect_engine();                     \
    if (next == NULL) next = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name); \
    return next(path, flags, mode);                                    \
  }
REDIRECT_OPEN(open)
REDIRECT_OPEN(open64)

#define REDIRECT_STAT(name, type)                                      \
  int name(const char *path, struct type *to) {                        \
    static int (*next)(const char *, struct type *);                   \
    if (is_control(path)) {                                            \
      memset(to, 0, sizeof *to);                                       \
      to->st_mode = S_IFCHR | 0600;                                    \
      to->st_rdev = makedev(10, 236);                                  \
      return 0;                                                        \
    }                                                                  \
    if (next == NULL) next = (int (*)(const char *, struct type *))dlsym(RTLD_NEXT, #name); \
    return next(path, to);                                             \
  }
REDIRECT_STAT(stat, stat)
REDIRECT_STAT(stat64, stat64)

#define REDIRECT_FOPEN(name)                                           \
  FILE *name(const char *path, const char *mode) {                     \
    static FILE *(*next)(const char *, const char *);                  \
    if (strcmp(path, "/proc/misc") == 0) return fmemopen(MISC, sizeof MISC - 1, "r"); \
    if (strcmp(path, "/proc/devices") == 0) return fmemopen(DEVICES, sizeof DEVICES - 1, "r"); \
    if (next == NULL) next = (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, #name); \
    return next(path, mode);                                           \
  }
REDIRECT_FOPEN(fopen)
REDIRECT_FOPEN(fopen64)

static void send_all(const void *from, size_t bytes) {
  for (const char *at = from; bytes > 0;) {
    ssize_t n = write(control, at, bytes);
    if (n <= 0) exit(98);
    at += n;
    bytes -= (size_t)n;
  }
}

static void receive_all(void *to, size_t bytes) {
  for (char *at = to; bytes > 0;) {
    ssize_t n = read(control, at, bytes);
    if (n <= 0) exit(98);
    at += n;
    bytes -= (size_t)n;
  }
}

int ioctl(int fd, unsigned long request, ...) {
  static int (*next)(int, unsigned long, ...);
  va_list arguments;
  va_start(arguments, request);
  void *buffer = va_arg(arguments, void *);
  va_end(arguments);
  if (control < 0 || fd != control) {
    if (next == NULL) next = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
    return next(fd, request, buffer);
  }
  uint32_t bytes = ((uint32_t *)buffer)[3]; // data_size
  uint32_t head[2] = {bytes + 4, (uint32_t)(request & 0xff)};
  send_all(head, sizeof head);
  send_all(buffer, bytes);
  uint32_t answer[2];
  receive_all(answer, sizeof answer);
  uint32_t length = answer[0] - 4;
  int32_t result = (int32_t)answer[1];
  char *payload = malloc(length);
  receive_all(payload, length);
  // The kernel leaves the caller's buffer alone when it fails.
  if (result == 0) memcpy(buffer, payload, length < bytes ? length : bytes);
  free(payload);
  if (result < 0) {
    errno = -result;
    return -1;
  }
  return 0;
}
