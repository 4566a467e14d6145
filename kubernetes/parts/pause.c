// The first process of a pod: holds its namespaces, buries orphans, ends when asked.
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal_number) {
	(void)signal_number;
	_exit(0);
}

static void bury(int signal_number) {
	(void)signal_number;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int main(void) {
	signal(SIGINT, end);
	signal(SIGTERM, end);
	signal(SIGCHLD, bury);
	for (;;)
		pause();
}
