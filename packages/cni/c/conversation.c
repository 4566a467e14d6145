#include "conversation.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* Runtimes give a plugin about a minute or two; a stuck agent must not hold the pod's worker for ever. */
#define AGENT_TIMEOUT_SECONDS 60

bool conversation_open(struct conversation *conversation, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval timeout = {.tv_sec = AGENT_TIMEOUT_SECONDS};

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	strcpy(address.sun_path, path);
	conversation->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (conversation->socket < 0)
		return false;
	setsockopt(conversation->socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(conversation->socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	conversation->start = conversation->end = 0;
	return connect(conversation->socket, (struct sockaddr *)&address, sizeof(address)) == 0;
}

void conversation_close(struct conversation *conversation)
{
	if (conversation->socket >= 0)
		close(conversation->socket);
	conversation->socket = -1;
}

static bool send_all(int socket, const char *data, size_t length)
{
	while (length) {
		ssize_t sent = send(socket, data, length, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		data += sent;
		length -= (size_t)sent;
	}
	return true;
}

bool field_send(struct conversation *conversation, const char *key, const char *value, size_t length)
{
	char head[FIELD_KEY_MAX + 24];
	int head_length = snprintf(head, sizeof(head), "%s %zu\n", key, length);

	return send_all(conversation->socket, head, (size_t)head_length) &&
	       send_all(conversation->socket, value, length) && send_all(conversation->socket, "\n", 1);
}

bool field_print(struct conversation *conversation, const char *key, const char *format, ...)
{
	char value[1024];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(value, sizeof(value), format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof(value))
		return false;
	return field_send(conversation, key, value, (size_t)length);
}

bool message_end(struct conversation *conversation)
{
	return send_all(conversation->socket, ".\n", 2);
}

static int next_byte(struct conversation *conversation)
{
	if (conversation->start == conversation->end) {
		ssize_t received;

		do
			received = recv(conversation->socket, conversation->buffer, sizeof(conversation->buffer), 0);
		while (received < 0 && errno == EINTR);
		if (received <= 0)
			return -1;
		conversation->start = 0;
		conversation->end = (size_t)received;
	}
	return (unsigned char)conversation->buffer[conversation->start++];
}

static bool read_line(struct conversation *conversation, char *line, size_t size)
{
	for (size_t length = 0; length < size; length++) {
		int byte = next_byte(conversation);

		if (byte < 0)
			return false;
		if (byte == '\n') {
			line[length] = 0;
			return true;
		}
		line[length] = (char)byte;
	}
	return false;
}

static bool read_field(struct conversation *conversation, const char *head, struct field *field)
{
	const char *space = strchr(head, ' ');
	char *end;

	if (!space || space - head >= FIELD_KEY_MAX)
		return false;
	memcpy(field->key, head, (size_t)(space - head));
	field->key[space - head] = 0;
	field->length = strtoul(space + 1, &end, 10);
	if (*end || field->length > FIELD_VALUE_MAX)
		return false;
	field->value = malloc(field->length + 1);
	if (!field->value)
		return false;
	for (size_t at = 0; at < field->length; at++) {
		int byte = next_byte(conversation);

		if (byte < 0)
			return false;
		field->value[at] = (char)byte;
	}
	field->value[field->length] = 0;
	return next_byte(conversation) == '\n';
}

bool message_receive(struct conversation *conversation, struct message *message)
{
	char head[FIELD_KEY_MAX + 24];

	message->count = 0;
	while (read_line(conversation, head, sizeof(head))) {
		if (!strcmp(head, "."))
			return true;
		if (message->count == MESSAGE_FIELDS_MAX ||
		    !read_field(conversation, head, &message->fields[message->count]))
			return false;
		message->count++;
	}
	return false;
}

const char *message_value(const struct message *message, const char *key)
{
	for (size_t index = 0; index < message->count; index++)
		if (!strcmp(message->fields[index].key, key))
			return message->fields[index].value;
	return NULL;
}
