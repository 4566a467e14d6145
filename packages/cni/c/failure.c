#include "failure.h"
#include "json.h"

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

void failure_print(const struct failure *failure, const char *version, const char *details)
{
	printf("{\"cniVersion\":");
	json_print_string(version);
	printf(",\"code\":%d,\"msg\":", failure->code);
	json_print_string(failure->message);
	if (details) {
		printf(",\"details\":");
		json_print_string(details);
	}
	printf("}\n");
}
