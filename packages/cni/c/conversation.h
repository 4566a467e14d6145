/*
 * The conversation with the agent: messages of fields over a unix stream socket.
 * A field is "KEY LENGTH\nVALUE\n"; a line with a single dot ends the message.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define FIELD_KEY_MAX 32
#define FIELD_VALUE_MAX (1 << 20)
#define MESSAGE_FIELDS_MAX 64

struct field {
	char key[FIELD_KEY_MAX];
	char *value;
	size_t length;
};

struct message {
	struct field fields[MESSAGE_FIELDS_MAX];
	size_t count;
};

struct conversation {
	int socket;
	char buffer[4096];
	size_t start;
	size_t end;
};

/* errno says why not. */
bool conversation_open(struct conversation *conversation, const char *path);
void conversation_close(struct conversation *conversation);

bool field_send(struct conversation *conversation, const char *key, const char *value, size_t length);
__attribute__((format(printf, 3, 4))) bool field_print(struct conversation *conversation, const char *key,
						       const char *format, ...);
bool message_end(struct conversation *conversation);

/* False when the agent went away or does not keep to the protocol. The memory lives as long as the process. */
bool message_receive(struct conversation *conversation, struct message *message);
const char *message_value(const struct message *message, const char *key);
