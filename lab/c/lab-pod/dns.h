/* The wire format of DNS (RFC 1035), as much as server and client here need. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define DNS_MESSAGE_MAX 4096
#define DNS_NAME_MAX 256
#define DNS_HEADER_BYTES 12

enum dns_type { DNS_A = 1, DNS_SOA = 6, DNS_PTR = 12, DNS_AAAA = 28, DNS_SRV = 33, DNS_ANY = 255 };
enum dns_answer { DNS_OK = 0, DNS_MALFORMED = 1, DNS_FAILED = 2, DNS_NO_NAME = 3, DNS_UNSUPPORTED = 4 };

/* Both return the offset after it, or 0 when it does not fit or is malformed. Names are in lower case, without the last
 * dot. */
size_t dns_write_name(uint8_t *message, size_t size, size_t at, const char *name);
size_t dns_read_name(const uint8_t *message, size_t size, size_t at, char name[DNS_NAME_MAX]);

static inline uint16_t dns_read16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static inline void dns_write16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}
