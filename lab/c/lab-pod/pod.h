/* What the sub-commands of lab-pod share. */
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define STATUS_FAILED 1
#define STATUS_USAGE 2
/* Room for "[v6 address]:port". */
#define ADDRESS_TEXT 64
#define RESOLVED_MAX 16

int echo_main(int argc, char **argv);
int client_main(int argc, char **argv);
int crowd_main(int argc, char **argv);
int dns_main(int argc, char **argv);
int resolve_main(int argc, char **argv);
int probe_main(int argc, char **argv);
int pause_main(int argc, char **argv);
int ping_main(int argc, char **argv);
int datagram_main(int argc, char **argv);
int listen_main(int argc, char **argv);
int ownstack_main(int argc, char **argv);

/* Prints "lab-pod: ...: strerror" (without the last part when errno is 0) and exits. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

typedef struct sockaddr_storage address_t;

socklen_t address_length(const address_t *address);
/* "10.0.0.1:80" or "[fd00::1]:80"; v4-mapped addresses are shown as what they are on the wire. */
const char *address_text(const address_t *address, char text[ADDRESS_TEXT]);
/* An address without name look-up; 0 when the text is none. */
int address_parse(const char *text, uint16_t port, address_t *address);

/* Looks a name up by /etc/resolv.conf, with its search list; family 0 is both. Returns how many, or -1 with *problem
 * set. */
int resolve_name(const char *name, int family, address_t found[RESOLVED_MAX], const char **problem);

/* A socket on all addresses of both families (IPv4 arrives v4-mapped), or of IPv4 where there is no IPv6. */
int server_socket(int type, uint16_t port);

uint64_t now_us(void);
/* The value of an option that must be a number between least and most. */
long number_option(const char *name, const char *text, long least, long most);
