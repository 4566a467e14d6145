#include "json.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 64
#define KEY_MAX 256

struct cursor {
	const char *at;
	const char *end;
};

static void skip_space(struct cursor *cursor)
{
	while (cursor->at < cursor->end && strchr(" \t\r\n", *cursor->at) && *cursor->at)
		cursor->at++;
}

static bool take(struct cursor *cursor, char expected)
{
	skip_space(cursor);
	if (cursor->at >= cursor->end || *cursor->at != expected)
		return false;
	cursor->at++;
	return true;
}

static bool peek(struct cursor *cursor, char expected)
{
	skip_space(cursor);
	return cursor->at < cursor->end && *cursor->at == expected;
}

/* The value without its quotes; \u escapes stay as they are: no path or version needs them. */
static bool take_string(struct cursor *cursor, char *out, size_t size)
{
	size_t length = 0;

	if (!take(cursor, '"'))
		return false;
	while (cursor->at < cursor->end) {
		char character = *cursor->at++;

		if (character == '"') {
			if (out)
				out[length] = 0;
			return true;
		}
		if ((unsigned char)character < 0x20)
			return false;
		if (character == '\\') {
			if (cursor->at >= cursor->end)
				return false;
			character = *cursor->at++;
		}
		if (out && length + 1 >= size)
			return false;
		if (out)
			out[length] = character;
		length++;
	}
	return false;
}

static bool skip_scalar(struct cursor *cursor)
{
	const char *start = cursor->at;

	while (cursor->at < cursor->end && *cursor->at && strchr("+-.0123456789Eeaflnrstu", *cursor->at))
		cursor->at++;
	return cursor->at > start;
}

static bool skip_value(struct cursor *cursor, int depth);

static bool skip_members(struct cursor *cursor, char close, int depth)
{
	cursor->at++;
	if (take(cursor, close))
		return true;
	do {
		if (close == '}' && !(take_string(cursor, NULL, 0) && take(cursor, ':')))
			return false;
		if (!skip_value(cursor, depth))
			return false;
	} while (take(cursor, ','));
	return take(cursor, close);
}

static bool skip_value(struct cursor *cursor, int depth)
{
	if (depth > DEPTH_MAX)
		return false;
	if (peek(cursor, '"'))
		return take_string(cursor, NULL, 0);
	if (peek(cursor, '{'))
		return skip_members(cursor, '}', depth + 1);
	if (peek(cursor, '['))
		return skip_members(cursor, ']', depth + 1);
	return skip_scalar(cursor);
}

enum json_answer json_top_level_string(const char *text, size_t length, const char *key, char *out, size_t size)
{
	struct cursor cursor = {text, text + length};
	enum json_answer answer = JSON_ABSENT;
	char name[KEY_MAX];

	if (!take(&cursor, '{'))
		return JSON_MALFORMED;
	if (take(&cursor, '}'))
		return JSON_ABSENT;
	do {
		if (!take_string(&cursor, name, sizeof(name)) || !take(&cursor, ':'))
			return JSON_MALFORMED;
		if (out && !strcmp(name, key) && peek(&cursor, '"')) {
			if (!take_string(&cursor, out, size))
				return JSON_MALFORMED;
			answer = JSON_FOUND;
		} else if (!skip_value(&cursor, 0)) {
			return JSON_MALFORMED;
		}
	} while (take(&cursor, ','));
	if (!take(&cursor, '}'))
		return JSON_MALFORMED;
	skip_space(&cursor);
	return cursor.at == cursor.end ? answer : JSON_MALFORMED;
}

void json_print_string(const char *text)
{
	putchar('"');
	for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
		if (*at == '"' || *at == '\\')
			printf("\\%c", *at);
		else if (*at < 0x20 || *at >= 0x7f)
			printf("\\u%04x", *at);
		else
			putchar(*at);
	}
	putchar('"');
}
