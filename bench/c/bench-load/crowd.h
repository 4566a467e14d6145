/* A crowd of clients in one process (crowd.c): what they are, and how they fare (crowd-account.c). */
#pragma once
#include "load.h"

/* Why a connection, or an answer over it, did not come about. */
enum failure { REFUSED, RESET, TIMEOUT, CLOSED, WRONG_ANSWER, OTHER, FAILURES };

enum kind { NEW, KEPT, KINDS };

enum failure failure_of(int error);

/* Whom they ask, for messages. */
void account_target(const char *address);

/* One of them has failed; the first few are told on standard error as well. */
void account_failure(enum kind kind, enum failure failure, char token, const char *step, uint64_t after_ns);
/* In which window, for account_made. */
unsigned account_begun(void);
void account_made(char token, unsigned window);
void account_connected(uint64_t took_ns);
void account_answered(uint64_t took_ns);
/* A flow is kept from now on, by the server of that token. */
void account_kept(char token);

/* One line of JSON about what was since the last one; which flows are kept stays. */
void account_print(void);
