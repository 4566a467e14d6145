/*
 * How a crowd fared, in windows: {"seconds":1.0,"kept":{"a":1000},"asked":5000,"answerP50Ns":...,"answerP99Ns":...,
 * "answerMaxNs":...,"begun":3000,"answers":{"a":3000},"connectP50Ns":...,"connectP99Ns":...,"connectMaxNs":...,
 * "failedKept":{"reset":0,...},"failedNew":{...},"lost":{"a":0}} where `kept` are the flows that are there, by the
 * token of their server, and `lost` those that failed in this window.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "crowd.h"

/* Of a longer window the last so many count. */
#define SAMPLES_MAX (1 << 20)
#define FAILURES_TOLD 20

static const char *const names[FAILURES] = {"refused", "reset", "timeout", "closed", "wrongAnswer", "other"};

struct samples {
	uint64_t ns[SAMPLES_MAX];
	size_t count;
};

static struct samples connects, answers_ns;
static unsigned long failed[KINDS][FAILURES], begun, answers[256], kept[256], lost[256];
static unsigned long late;
static unsigned window;
static uint64_t began_ns;
static const char *target = "";
static int told;

enum failure failure_of(int error)
{
	switch (error) {
	case 0:
		return CLOSED;
	case ECONNREFUSED:
		return REFUSED;
	case ECONNRESET:
	case EPIPE:
		return RESET;
	case ETIMEDOUT:
		return TIMEOUT;
	default:
		return OTHER;
	}
}

void account_target(const char *address)
{
	target = address;
}

static void sample(struct samples *samples, uint64_t ns)
{
	samples->ns[samples->count++ % SAMPLES_MAX] = ns;
}

void account_failure(enum kind kind, enum failure failure, char token, const char *step, uint64_t after_ns)
{
	failed[kind][failure]++;
	if (kind == KEPT && token) {
		kept[(unsigned char)token]--;
		lost[(unsigned char)token]++;
	}
	if (told++ < FAILURES_TOLD)
		fprintf(stderr, "bench-load: a %s connection to %s failed after %.1f ms: %s: %s\n",
			kind == KEPT ? "kept" : "new", target, after_ns / 1e6, step, names[failure]);
}

unsigned account_begun(void)
{
	if (!began_ns)
		began_ns = now_ns();
	begun++;
	return window;
}

void account_made(char token, unsigned begun_in)
{
	if (begun_in == window)
		answers[(unsigned char)token]++;
	else
		late++;
}

void account_connected(uint64_t took_ns)
{
	sample(&connects, took_ns);
}

void account_answered(uint64_t took_ns)
{
	sample(&answers_ns, took_ns);
}

void account_kept(char token)
{
	kept[(unsigned char)token]++;
}

static void print_tokens(const char *name, const unsigned long *counts)
{
	const char *comma = "";

	printf("\"%s\":{", name);
	for (int token = 0; token < 256; token++)
		if (counts[token]) {
			printf("%s\"%c\":%lu", comma, token, counts[token]);
			comma = ",";
		}
	printf("},");
}

static void print_times(const char *name, struct samples *samples)
{
	size_t count = samples->count < SAMPLES_MAX ? samples->count : SAMPLES_MAX;

	if (count)
		printf("\"%sP50Ns\":%lu,\"%sP99Ns\":%lu,\"%sMaxNs\":%lu,", name, quantile_ns(samples->ns, count, 0.5),
		       name, quantile_ns(samples->ns, count, 0.99), name, quantile_ns(samples->ns, count, 1));
	samples->count = 0;
}

static void print_failures(const char *name, unsigned long *counts)
{
	printf("\"%s\":{", name);
	for (int failure = 0; failure < FAILURES; failure++)
		printf("%s\"%s\":%lu", failure ? "," : "", names[failure], counts[failure]);
	printf("}");
}

void account_print(void)
{
	uint64_t now = now_ns();

	printf("{\"seconds\":%.3f,\"asked\":%zu,\"begun\":%lu,", began_ns ? (now - began_ns) / 1e9 : 0,
	       answers_ns.count, begun);
	print_times("connect", &connects);
	print_times("answer", &answers_ns);
	print_tokens("kept", kept);
	print_tokens("lost", lost);
	print_tokens("answers", answers);
	printf("\"late\":%lu,", late);
	print_failures("failedKept", failed[KEPT]);
	printf(",");
	print_failures("failedNew", failed[NEW]);
	puts("}");
	fflush(stdout);
	memset(failed, 0, sizeof(failed));
	memset(answers, 0, sizeof(answers));
	memset(lost, 0, sizeof(lost));
	begun = late = 0;
	window++;
	began_ns = now_ns();
}
