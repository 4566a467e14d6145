/* What the sub-commands of bench-load share. */
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

int serve_main(int argc, char **argv);
int connect_main(int argc, char **argv);
int udp_main(int argc, char **argv);
int stream_main(int argc, char **argv);
int watch_main(int argc, char **argv);
int cni_main(int argc, char **argv);
int serve_many_main(int argc, char **argv);
int crowd_main(int argc, char **argv);
int flood_main(int argc, char **argv);
int churn_main(int argc, char **argv);
int live_main(int argc, char **argv);
int frames_main(int argc, char **argv);
int ports_main(int argc, char **argv);

/* The first byte of a TCP connection says what it is for. */
#define BYTE_ASK 'a'
#define BYTE_STREAM 's'
/* serve-many: from then on everything comes back. */
#define BYTE_KEEP 'k'

/* Of every client: ADDRESS PORT and options. */
struct client {
	struct sockaddr_storage address;
	socklen_t address_length;
	long count;
	long milliseconds;
	long interval_us;
	/* Connections that stay, and new ones, or packets, a second; 0: none, or as many as go. */
	long kept;
	long rate;
	uint64_t seed;
	/* The address to connect from, or the first of so many. */
	struct sockaddr_storage source;
	long sources;
	/* Another service at the same port. */
	struct sockaddr_storage other;
	/* Of its own sockets, where it chooses. */
	long first_port;
};

void client_parse(int argc, char **argv, struct client *client);

/* Prints "bench-load: ...: strerror" (without the last part when errno is 0) and exits. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

uint64_t now_ns(void);
void pin_to(const char *cpu);
long number_of(const char *name, const char *text, long least, long most);

/* A socket at this port, of both families, that does not block. */
int listen_at(int type, uint16_t port);

/* Takes all datagrams that are there. */
void answer_datagrams(int fd, char token);

/* As many descriptors as the hard limit gives; how many that are. */
size_t allow_files(void);

/* Sorts the values. share is 0 to 1. */
uint64_t quantile_ns(uint64_t *values, size_t count, double share);

/* Connects, asks, and returns the token that answered; at connected_ns when connect() returned. The socket is reset. */
int exchange(const struct client *client, uint64_t *connect_ns, uint64_t *connected_ns);

/* The socket's peer must be the address that the client named: a translation shows what was asked for. */
void check_peer(int fd, const struct client *client);
int peer_is(int fd, const struct sockaddr_storage *named);
