#include "failure.h"

#include <stdarg.h>
#include <stdio.h>

bool fail(struct failure *failure, int code, const char *format, ...)
{
	va_list arguments;

	failure->code = code;
	va_start(arguments, format);
	vsnprintf(failure->message, sizeof(failure->message), format, arguments);
	va_end(arguments);
	return false;
}

static void print_json_string(const char *text)
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

void failure_print(const struct failure *failure, const char *version, const char *details)
{
	printf("{\"cniVersion\":");
	print_json_string(version);
	printf(",\"code\":%d,\"msg\":", failure->code);
	print_json_string(failure->message);
	if (details) {
		printf(",\"details\":");
		print_json_string(details);
	}
	printf("}\n");
}
