/* A stub resolver with search list: libc's own needs shared libraries at run time, and this program has none. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "dns.h"
#include "pod.h"

#define SEARCH_MAX 8
#define SERVERS_MAX 3
#define TRIES 2
#define TIMEOUT_MS 1500

static struct {
	address_t servers[SERVERS_MAX];
	char search[SEARCH_MAX][DNS_NAME_MAX];
	int server_count, search_count, ndots;
} config;

static void read_config(void)
{
	char line[1024];
	FILE *file = fopen("/etc/resolv.conf", "re");

	memset(&config, 0, sizeof(config));
	config.ndots = 1;
	while (file && fgets(line, sizeof(line), file)) {
		char *rest = line;
		const char *keyword = strsep(&rest, " \t\n");

		for (char *word; rest && (word = strsep(&rest, " \t\n"));) {
			if (!*word)
				continue;
			if (!strcmp(keyword, "nameserver") && config.server_count < SERVERS_MAX)
				config.server_count += address_parse(word, 53, &config.servers[config.server_count]);
			else if (!strcmp(keyword, "search") && config.search_count < SEARCH_MAX)
				snprintf(config.search[config.search_count++], DNS_NAME_MAX, "%s", word);
			else if (!strcmp(keyword, "options") && !strncmp(word, "ndots:", 6))
				config.ndots = atoi(word + 6);
		}
	}
	if (file)
		fclose(file);
}

static int is_over_tcp;

/* Sends the question and gives the length of what came, or -1 with *problem set. */
static ssize_t exchange(int fd, const address_t *server, const uint8_t *query, size_t length,
			uint8_t answer[DNS_MESSAGE_MAX], const char **problem)
{
	struct timeval patience = {.tv_sec = TIMEOUT_MS / 1000, .tv_usec = TIMEOUT_MS % 1000 * 1000};
	uint8_t prefix[2];
	ssize_t got;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
	    connect(fd, (const void *)server, address_length(server)))
		goto failed;
	/* Over TCP every message has its length before it (RFC 1035 4.2.2). */
	dns_write16(prefix, length);
	if ((is_over_tcp && send(fd, prefix, 2, MSG_NOSIGNAL | MSG_MORE) < 0) ||
	    send(fd, query, length, MSG_NOSIGNAL) < 0)
		goto failed;
	if (!is_over_tcp)
		got = recv(fd, answer, DNS_MESSAGE_MAX, 0);
	else if ((got = recv(fd, prefix, 2, MSG_WAITALL)) == 2 && dns_read16(prefix) <= DNS_MESSAGE_MAX)
		got = recv(fd, answer, dns_read16(prefix), MSG_WAITALL);
	if (got > 0)
		return got;
	if (got == 0)
		errno = ECONNRESET;
failed:
	*problem = errno == EAGAIN || errno == EINPROGRESS ? "the nameserver does not answer" : strerror(errno);
	return -1;
}

/* The whole answer, or 0 when no server gave one; *problem says why. */
static size_t ask(const char *name, uint16_t type, uint8_t answer[DNS_MESSAGE_MAX], const char **problem)
{
	uint8_t query[DNS_HEADER_BYTES + DNS_NAME_MAX + 8] = {0, 0, 1 /* recursion desired */, 0, 0, 1};
	static uint16_t id;

	*problem = "the name is too long";
	size_t length = dns_write_name(query, sizeof(query) - 4, DNS_HEADER_BYTES, name);
	if (!length)
		return 0;
	dns_write16(query, id = id * 31 + getpid() + now_us());
	dns_write16(query + length, type);
	dns_write16(query + length + 2, 1 /* IN */);
	length += 4;
	*problem = "no nameserver in /etc/resolv.conf";
	for (int try = 0; try < TRIES * config.server_count; try++) {
		const address_t *server = &config.servers[try % config.server_count];
		int fd = socket(server->ss_family, (is_over_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
		ssize_t got = fd < 0 ? -1 : exchange(fd, server, query, length, answer, problem);

		if (fd < 0)
			*problem = strerror(errno);
		else
			close(fd);
		if (got >= DNS_HEADER_BYTES && !memcmp(answer, query, 2))
			return got;
	}
	return 0;
}

typedef void (*record_handler)(uint16_t type, const uint8_t *message, size_t size, size_t data, size_t data_length,
			       void *context);

static void each_record(const uint8_t *message, size_t size, record_handler handle, void *context)
{
	char name[DNS_NAME_MAX];
	size_t at = DNS_HEADER_BYTES;

	for (int i = dns_read16(message + 4); i > 0 && at; i--)
		at = dns_read_name(message, size, at, name) + 4;
	for (int i = dns_read16(message + 6); i > 0; i--) {
		at = dns_read_name(message, size, at, name);
		if (!at || at + 10 > size || at + 10 + dns_read16(message + at + 8) > size)
			return;
		handle(dns_read16(message + at), message, size, at + 10, dns_read16(message + at + 8), context);
		at += 10 + dns_read16(message + at + 8);
	}
}

struct found {
	address_t *addresses;
	int count;
};

static void collect(uint16_t type, const uint8_t *message, size_t size, size_t data, size_t length, void *context)
{
	struct found *found = context;
	address_t *address = &found->addresses[found->count];

	(void)size;
	if (found->count == RESOLVED_MAX)
		return;
	memset(address, 0, sizeof(*address));
	if (type == DNS_A && length == 4) {
		address->ss_family = AF_INET;
		memcpy(&((struct sockaddr_in *)address)->sin_addr, message + data, 4);
		found->count++;
	} else if (type == DNS_AAAA && length == 16) {
		address->ss_family = AF_INET6;
		memcpy(&((struct sockaddr_in6 *)address)->sin6_addr, message + data, 16);
		found->count++;
	}
}

static int count_dots(const char *name)
{
	int dots = 0;

	for (; *name; name++)
		dots += *name == '.';
	return dots;
}

/* The names to try: with the search list first when the name has few dots, as ndots says. */
static int candidates(const char *name, char names[SEARCH_MAX + 1][2 * DNS_NAME_MAX])
{
	size_t length = strlen(name);
	int is_absolute = length && name[length - 1] == '.', dots = count_dots(name), count = 0;

	if (is_absolute || dots >= config.ndots)
		snprintf(names[count++], 2 * DNS_NAME_MAX, "%.*s", (int)length - is_absolute, name);
	for (int i = 0; !is_absolute && i < config.search_count; i++)
		snprintf(names[count++], 2 * DNS_NAME_MAX, "%s.%s", name, config.search[i]);
	if (!is_absolute && dots < config.ndots)
		snprintf(names[count++], 2 * DNS_NAME_MAX, "%s", name);
	return count;
}

int resolve_name(const char *name, int family, address_t addresses[RESOLVED_MAX], const char **problem)
{
	char names[SEARCH_MAX + 1][2 * DNS_NAME_MAX];
	uint8_t answer[DNS_MESSAGE_MAX];
	struct found found = {.addresses = addresses};

	read_config();
	int count = candidates(name, names), unanswered = 0;
	for (int i = 0; i < count && !found.count; i++) {
		for (int v6 = 0; v6 < 2; v6++) {
			if (family && family != (v6 ? AF_INET6 : AF_INET))
				continue;
			size_t size = ask(names[i], v6 ? DNS_AAAA : DNS_A, answer, problem);
			if (!size)
				unanswered = 1;
			else
				each_record(answer, size, collect, &found);
		}
		if (unanswered && !found.count)
			return -1;
	}
	if (!found.count)
		*problem = "no such name";
	return found.count ? found.count : -1;
}

static void print_record(uint16_t type, const uint8_t *message, size_t size, size_t data, size_t length, void *context)
{
	char text[INET6_ADDRSTRLEN], name[DNS_NAME_MAX] = "";

	(void)context;
	if (type == DNS_A && length == 4)
		printf("A %s\n", inet_ntop(AF_INET, message + data, text, sizeof(text)));
	else if (type == DNS_AAAA && length == 16)
		printf("AAAA %s\n", inet_ntop(AF_INET6, message + data, text, sizeof(text)));
	else if (type == DNS_PTR && dns_read_name(message, size, data, name))
		printf("PTR %s\n", name);
	else if (type == DNS_SRV && length > 6 && dns_read_name(message, size, data + 6, name))
		printf("SRV %u %u %u %s\n", dns_read16(message + data), dns_read16(message + data + 2),
		       dns_read16(message + data + 4), name);
}

static int print_raw(const char *name, uint16_t type)
{
	uint8_t answer[DNS_MESSAGE_MAX];
	const char *problem;
	char names[SEARCH_MAX + 1][2 * DNS_NAME_MAX];

	read_config();
	int count = candidates(name, names), exists = 0;
	for (int i = 0; i < count; i++) {
		size_t size = ask(names[i], type, answer, &problem);

		if (!size) {
			errno = 0;
			fail("%s: %s", name, problem);
		}
		if ((answer[3] & 15) == DNS_OK && dns_read16(answer + 6)) {
			each_record(answer, size, print_record, NULL);
			return 0;
		}
		exists |= (answer[3] & 15) == DNS_OK;
	}
	errno = 0;
	fail("%s: no such %s", name, exists ? "record" : "name");
}

int resolve_main(int argc, char **argv)
{
	static const struct {
		const char *name;
		uint16_t type;
	} types[] = {{"A", DNS_A}, {"AAAA", DNS_AAAA}, {"SRV", DNS_SRV}, {"PTR", DNS_PTR}};
	address_t found[RESOLVED_MAX];
	char text[ADDRESS_TEXT];
	const char *problem;

	if (argc > 1 && !strcmp(argv[1], "--tcp")) {
		is_over_tcp = 1;
		argc--;
		argv++;
	}
	if (argc == 3)
		for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
			if (!strcasecmp(argv[2], types[i].name))
				return print_raw(argv[1], types[i].type);
	if (argc != 2) {
		fprintf(stderr, "usage: resolve [--tcp] NAME [A|AAAA|SRV|PTR]\n");
		return STATUS_USAGE;
	}
	int count = resolve_name(argv[1], 0, found, &problem);
	errno = 0;
	if (count < 1)
		fail("%s: %s", argv[1], problem);
	for (int i = 0; i < count; i++) {
		if (found[i].ss_family == AF_INET)
			inet_ntop(AF_INET, &((struct sockaddr_in *)&found[i])->sin_addr, text, sizeof(text));
		else
			inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&found[i])->sin6_addr, text, sizeof(text));
		printf("%s\n", text);
	}
	return 0;
}
