// SPDX-License-Identifier: Apache-2.0
//
// What a workload does to a block device, one process for many operations, because starting dd for each write would be most
// of an emulated machine's time. Every operation is over when the next one begins.
//
//     blockio DEVICE BLOCK_SECTORS OPERATION…
//
//   wA-B      one write of the whole blocks A to B
//   pA:O:N    one write of N sectors at sector O of block A
//   FA        a write of block A with FUA
//   zA-B      blocks A to B zeroed by the kernel (BLKZEROOUT)
//   dA-B      blocks A to B discarded
//   rA-B      read
//   f         fsync
//   sN        wait N milliseconds with the device idle, so that the kernel's worker comes to rest
//
// What reaches past the device's end is cut off there. The file named in BLOCKIO_PROGRESS grows by one byte for each
// operation that is over.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { SECTOR = 512, LARGEST = 16 << 20 };

static const char *operation;

static void check(int good)
{
	if (good)
		return;
	fprintf(stderr, "blockio: %s: %s\n", operation, strerror(errno));
	exit(1);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: blockio DEVICE BLOCK_SECTORS OPERATION...\n");
		return 2;
	}
	operation = argv[1];
	int fd = open(argv[1], O_RDWR | O_DIRECT);
	check(fd >= 0);
	uint64_t size, block = strtoull(argv[2], NULL, 10) * SECTOR;
	check(ioctl(fd, BLKGETSIZE64, &size) == 0);
	unsigned char *data;
	check(posix_memalign((void **)&data, 4096, LARGEST) == 0);
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	unsigned stamp = (unsigned)now.tv_nsec | 1;

	const char *progress = getenv("BLOCKIO_PROGRESS");
	int progress_fd = progress ? open(progress, O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;
	check(!progress || progress_fd >= 0);

	for (int i = 3; i < argc; i++) {
		if (i > 3 && progress)
			check(write(progress_fd, ".", 1) == 1);
		operation = argv[i];
		char *rest = argv[i] + 1;
		uint64_t first = strtoull(rest, &rest, 10), offset = first * block, length = block;
		if (operation[0] == 's') {
			struct timespec pause = { first / 1000, first % 1000 * 1000000 };
			nanosleep(&pause, NULL);
			continue;
		}
		if (operation[0] == 'f') {
			check(fsync(fd) == 0);
			continue;
		}
		if (*rest == '-')
			length = (strtoull(rest + 1, &rest, 10) - first + 1) * block;
		if (*rest == ':') {
			offset += strtoull(rest + 1, &rest, 10) * SECTOR;
			length = strtoull(rest + 1, &rest, 10) * SECTOR;
		}
		if (offset >= size || *rest || length > LARGEST) {
			errno = ERANGE;
			check(0);
		}
		if (length > size - offset)
			length = size - offset;
		uint64_t range[2] = { offset, length };
		struct iovec vector = { data, length };
		stamp = stamp * 1664525u + 1013904223u;
		switch (operation[0]) {
		case 'w':
		case 'p':
			for (uint64_t at = 0; at < length; at += SECTOR)
				memcpy(data + at, &stamp, sizeof stamp), memcpy(data + at + 8, &at, sizeof at);
			check(pwrite(fd, data, length, offset) == (ssize_t)length);
			break;
		case 'F':
			memset(data, (int)(stamp >> 24), length);
			check(pwritev2(fd, &vector, 1, offset, RWF_DSYNC) == (ssize_t)length);
			break;
		case 'z':
			check(ioctl(fd, BLKZEROOUT, range) == 0);
			break;
		case 'd':
			check(ioctl(fd, BLKDISCARD, range) == 0);
			break;
		case 'r':
			check(pread(fd, data, length, offset) == (ssize_t)length);
			break;
		default:
			errno = EINVAL;
			check(0);
		}
	}
	if (progress)
		check(write(progress_fd, ".", 1) == 1);
	check(close(fd) == 0);
	return 0;
}
