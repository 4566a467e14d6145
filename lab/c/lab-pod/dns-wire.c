#include <ctype.h>
#include <string.h>
#include "dns.h"

#define LABEL_MAX 63
#define POINTERS_MAX 32

size_t dns_write_name(uint8_t *message, size_t size, size_t at, const char *name)
{
	while (*name) {
		size_t length = strcspn(name, ".");

		if (length == 0 || length > LABEL_MAX || at + 1 + length >= size)
			return 0;
		message[at++] = length;
		memcpy(message + at, name, length);
		at += length;
		name += length + (name[length] == '.');
	}
	if (at >= size)
		return 0;
	message[at++] = 0;
	return at;
}

size_t dns_read_name(const uint8_t *message, size_t size, size_t at, char name[DNS_NAME_MAX])
{
	size_t after = 0, written = 0;

	for (int pointers = 0; at < size;) {
		uint8_t length = message[at];

		if (length == 0) {
			name[written ? written - 1 : 0] = '\0';
			return after ? after : at + 1;
		}
		if ((length & 0xc0) == 0xc0) {
			if (at + 1 >= size || ++pointers > POINTERS_MAX)
				return 0;
			if (!after)
				after = at + 2;
			at = (length & 0x3f) << 8 | message[at + 1];
			continue;
		}
		if (length > LABEL_MAX || at + 1 + length > size || written + length + 1 >= DNS_NAME_MAX)
			return 0;
		for (int i = 0; i < length; i++)
			name[written++] = tolower(message[at + 1 + i]);
		name[written++] = '.';
		at += 1 + length;
	}
	return 0;
}
