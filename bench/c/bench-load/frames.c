/*
 * Runs a pinned XDP program on so many frames that are real: what it redirects is sent (live frames, Linux 5.18). One
 * call, because each makes and ends a pool of pages, which takes milliseconds. Prints how long it took:
 * {"sent":1000000,"ns":200000000}
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "load.h"

/* Frames that go before their receiver runs; a veth has room for 256. */
#define BATCH 64

static int bpf(int command, union bpf_attr *attributes)
{
	return syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static int open_program(const char *path)
{
	union bpf_attr attributes = {.pathname = (uintptr_t)path};
	int fd = bpf(BPF_OBJ_GET, &attributes);

	if (fd < 0)
		fail("open the program at %s", path);
	return fd;
}

int frames_main(int argc, char **argv)
{
	static uint8_t frame[2048];
	long count = 1000, length = 64;

	errno = 0;
	if (argc < 2)
		fail("frames: the PIN of a program is missing");
	for (int i = 2; i < argc; i += 2) {
		if (!strcmp(argv[i], "--cpu"))
			pin_to(argv[i + 1]);
		else if (!strcmp(argv[i], "--count"))
			count = number_of(argv[i], argv[i + 1], 1, 100000000);
		else if (!strcmp(argv[i], "--length"))
			length = number_of(argv[i], argv[i + 1], 14, sizeof(frame));
		else
			fail("frames: unknown option %s", argv[i]);
	}
	union bpf_attr attributes = {.test = {.prog_fd = open_program(argv[1]),
					      .data_in = (uintptr_t)frame,
					      .data_size_in = length,
					      .repeat = count,
					      .batch_size = BATCH,
					      .flags = BPF_F_TEST_XDP_LIVE_FRAMES}};
	uint64_t began = now_ns();
	if (bpf(BPF_PROG_TEST_RUN, &attributes))
		fail("run the program on live frames");
	printf("{\"sent\":%ld,\"ns\":%lu}\n", count, now_ns() - began);
	return 0;
}
