/*
 * sluice-cni: the CNI plugin of Sluice (specification 1.1.0).
 *
 * The container runtime runs it as root for each pod. It passes the request to the agent's socket and does what must be
 * done inside the pod's network namespace; every decision, and every check of the request, is the agent's.
 */
#include "conversation.h"
#include "failure.h"
#include "json.h"
#include "loopback.h"
#include "netns.h"
#include "pod.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CONFIGURATION_MAX (1 << 20)
#define DEFAULT_SOCKET "/run/sluice/cni.sock"
#define NEWEST_VERSION "1.1.0"
/* An agent that is restarted is back in a second or two. */
#define AGENT_WAIT_SECONDS_DEFAULT 10
#define AGENT_POLL_MS 50
/* Beside the socket; the agent makes it anew with each good answer to STATUS. */
#define STATUS_MARKER_SUFFIX ".available"
#define STATUS_STANDS_SECONDS 300

static const char *const environment[] = {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS",
					  "CNI_IFNAME",	 "CNI_ARGS",	    "CNI_PATH"};
static const char *const supported_versions[] = {"0.3.1", "0.4.0", "1.0.0", "1.1.0"};

static char configuration[CONFIGURATION_MAX + 1];
static size_t configuration_length;
static char version[32] = NEWEST_VERSION;
static char socket_path[512] = DEFAULT_SOCKET;
static long agent_wait_seconds = AGENT_WAIT_SECONDS_DEFAULT;

static bool read_configuration(struct failure *failure)
{
	for (;;) {
		ssize_t got = read(STDIN_FILENO, configuration + configuration_length,
				   sizeof(configuration) - configuration_length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(failure, CNI_IO, "read the configuration from standard input: %s", strerror(errno));
		if (got == 0)
			return true;
		configuration_length += (size_t)got;
		if (configuration_length > CONFIGURATION_MAX)
			return fail(failure, CNI_DECODE, "the configuration on standard input is longer than %d bytes",
				    CONFIGURATION_MAX);
	}
}

/* False: it is there and is no text that fits. */
static bool read_text(const char *key, char *value, size_t size, struct failure *failure)
{
	enum json_answer answer = json_top_level_string(configuration, configuration_length, key, value, size);

	if (answer == JSON_MALFORMED)
		return fail(failure, CNI_INVALID_CONFIG, "%s in the configuration is too long", key);
	return true;
}

static bool parse_configuration(struct failure *failure)
{
	char given[sizeof(version)] = "";
	char wait[16] = "";

	if (json_top_level_string(configuration, configuration_length, "", NULL, 0) == JSON_MALFORMED)
		return fail(failure, CNI_DECODE, "the configuration on standard input is not a JSON object");
	if (!read_text("cniVersion", given, sizeof(given), failure) ||
	    !read_text("agentSocket", socket_path, sizeof(socket_path), failure) ||
	    !read_text("agentWaitSeconds", wait, sizeof(wait), failure))
		return false;
	for (size_t index = 0; index < sizeof(supported_versions) / sizeof(*supported_versions); index++)
		if (!strcmp(given, supported_versions[index]))
			strcpy(version, given);
	if (*wait)
		agent_wait_seconds = strtol(wait, NULL, 10);
	return true;
}

/* Answered without the agent: a runtime asks for versions before anything else runs. */
static int print_versions(void)
{
	printf("{\"cniVersion\":\"%s\",\"supportedVersions\":[", version);
	for (size_t index = 0; index < sizeof(supported_versions) / sizeof(*supported_versions); index++)
		printf("%s\"%s\"", index ? "," : "", supported_versions[index]);
	printf("]}\n");
	return 0;
}

static bool agent_gone(struct failure *failure, const char *command, const char *what)
{
	int code = strcmp(command, "STATUS") ? CNI_TRY_AGAIN : CNI_NOT_AVAILABLE;

	return fail(failure, code, "the agent does not answer at %s (%s): is sluice-agent running on this node?",
		    socket_path, what);
}

static bool send_request(struct conversation *conversation)
{
	for (size_t index = 0; index < sizeof(environment) / sizeof(*environment); index++) {
		const char *value = getenv(environment[index]);

		if (value && !field_send(conversation, environment[index], value, strlen(value)))
			return false;
	}
	return field_send(conversation, "configuration", configuration, configuration_length) &&
	       message_end(conversation);
}

static bool report_failure(struct conversation *conversation, const struct failure *failure)
{
	return field_send(conversation, "kind", "failed", strlen("failed")) &&
	       field_print(conversation, "code", "%d", failure->code) &&
	       field_send(conversation, "message", failure->message, strlen(failure->message)) &&
	       message_end(conversation);
}

static bool report_facts(struct conversation *conversation, const struct pod_facts *facts)
{
	return field_send(conversation, "kind", "configured", strlen("configured")) &&
	       field_print(conversation, "host_ifindex", "%u", facts->host_ifindex) &&
	       field_print(conversation, "pod_ifindex", "%u", facts->pod_ifindex) &&
	       field_print(conversation, "netns_cookie", "%llu", (unsigned long long)facts->netns_cookie) &&
	       field_print(conversation, "netns_inode", "%llu", (unsigned long long)facts->netns_inode) &&
	       message_end(conversation);
}

/* The pair exists until the agent's result says that the pod may have it. */
static bool configure(struct conversation *conversation, struct message *message, struct failure *failure,
		      bool *created, struct attachment *attachment)
{
	const char *path = getenv("CNI_NETNS");
	struct pod_facts facts = {0};
	struct failure local = {0};
	int netns = -1;

	if (attachment_parse(message, attachment, &local))
		netns = netns_open(path ? path : "", &local);
	*created = netns >= 0 && pod_configure(netns, attachment, &facts, &local);
	if (netns >= 0)
		close(netns);
	if (*created ? report_facts(conversation, &facts) : report_failure(conversation, &local))
		return true;
	return agent_gone(failure, "ADD", "connection closed");
}

static bool inspect(struct conversation *conversation, struct message *message, struct failure *failure)
{
	const char *path = getenv("CNI_NETNS");
	const char *pod_name = message_value(message, "pod_name");
	struct failure local = {0};
	int netns = netns_open(path ? path : "", &local);
	bool inspected;

	if (netns < 0)
		return report_failure(conversation, &local) || agent_gone(failure, "CHECK", "connection closed");
	if (!field_send(conversation, "kind", "inspected", strlen("inspected")))
		return agent_gone(failure, "CHECK", "connection closed");
	inspected = pod_inspect(netns, pod_name ? pod_name : "", conversation, failure);
	close(netns);
	return inspected && message_end(conversation);
}

/*
 * The runtime has its answer; what is left to do is done by a child, which holds none of the runtime's pipes: it would
 * wait for their end. Without a child it waits for us.
 */
static void answer_now(void)
{
	int null;

	if (fork() > 0)
		_exit(0);
	setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
}

/*
 * The agent has withdrawn the pod: nobody finds it, and it can send nothing. The kernel takes some 40 ms to let go of
 * the pair, three grace periods of RCU, for which no pod's end should wait. Should the child be killed, the agent
 * removes the pair. Should the agent be, the next one finds the pair gone: asked again, it could be about a pod that
 * was added since.
 */
static void remove_device(struct conversation *conversation, struct message *message)
{
	struct attachment attachment = {.host_name = message_value(message, "host_name")};

	answer_now();
	/* What is gone already is removed as well; the agent looks itself. */
	if (attachment.host_name)
		pod_remove(&attachment);
	if (field_send(conversation, "kind", "removed", strlen("removed")))
		message_end(conversation);
	_exit(0);
}

/* An ADD whose answer nobody can have has failed: the runtime removes what it made. */
static bool answer_written(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return true;
	fprintf(stderr, "sluice-cni: write the answer to standard output: %s\n", strerror(errno));
	return false;
}

/* The exit status, or -1 when the agent is not there or went away. */
static int converse(struct conversation *conversation, const char *command, struct failure *failure)
{
	static struct message message;
	struct attachment attachment;
	bool created = false;

	if (!conversation_open(conversation, socket_path)) {
		agent_gone(failure, command, strerror(errno));
		return -1;
	}
	if (!send_request(conversation)) {
		agent_gone(failure, command, "connection closed");
		return -1;
	}
	for (;;) {
		const char *kind;

		if (!message_receive(conversation, &message)) {
			agent_gone(failure, command, "connection closed before the answer");
			break;
		}
		kind = message_value(&message, "kind");
		if (kind && !strcmp(kind, "configure")) {
			if (!configure(conversation, &message, failure, &created, &attachment))
				break;
		} else if (kind && !strcmp(kind, "remove")) {
			remove_device(conversation, &message);
		} else if (kind && !strcmp(kind, "inspect")) {
			if (!inspect(conversation, &message, failure))
				break;
		} else {
			const char *body = message_value(&message, "body");
			bool succeeded = kind && !strcmp(kind, "result");

			if (created && !succeeded)
				pod_remove(&attachment);
			if (body)
				fputs(body, stdout);
			return answer_written() && succeeded ? 0 : 1;
		}
	}
	if (created)
		pod_remove(&attachment);
	return -1;
}

/*
 * An agent that is being replaced, or that keeps ending, takes nothing from the pods that are there: their node must
 * not be called unready for it, which would take them out of their services. Its last good answer stands for a while.
 */
static bool last_status_stands(void)
{
	char marker[sizeof(socket_path) + sizeof(STATUS_MARKER_SUFFIX)];
	struct stat file;

	snprintf(marker, sizeof(marker), "%s" STATUS_MARKER_SUFFIX, socket_path);
	if (stat(marker, &file))
		return false;
	time_t age = time(NULL) - file.st_mtime;

	return age >= 0 && age < STATUS_STANDS_SECONDS;
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Every command may be asked again from its beginning: what an ADD had made is undone before. */
static int converse_patiently(const char *command, struct failure *failure)
{
	const struct timespec poll = {.tv_nsec = AGENT_POLL_MS * 1000000L};
	static struct conversation conversation;
	long long deadline_ms = now_ms() + agent_wait_seconds * 1000LL;
	int status;

	for (;;) {
		status = converse(&conversation, command, failure);
		conversation_close(&conversation);
		/* No patience: after a reboot the kubelet asks before it starts any pod, the agent's too. */
		if (status < 0 && !strcmp(command, "STATUS"))
			return last_status_stands() ? 0 : -1;
		if (status >= 0 || now_ms() >= deadline_ms)
			return status;
		nanosleep(&poll, NULL);
	}
}

/* Where one is closed, the agent's socket would become it, and the answer would go there. */
static void open_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static bool is_called(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');

	return !strcmp(slash ? slash + 1 : path, name);
}

/* The exit status, or -1 with the failure. */
static int answer(const char *program, const char *command, struct failure *failure)
{
	if (!strcmp(command, "VERSION"))
		return print_versions();
	if (is_called(program, "loopback")) {
		if (!loopback_answer(command, version, failure))
			return -1;
		return answer_written() ? 0 : 1;
	}
	return converse_patiently(command, failure);
}

int main(int argc, char **argv)
{
	const char *command = getenv("CNI_COMMAND");
	struct failure failure = {0};
	int status = -1;

	open_standard_descriptors();
	signal(SIGPIPE, SIG_IGN);
	if (!command || !*command)
		fail(&failure, CNI_INVALID_ENVIRONMENT,
		     "CNI_COMMAND is not set: this program is run by a container runtime");
	else if (read_configuration(&failure) && parse_configuration(&failure))
		status = answer(argc > 0 ? argv[0] : "", command, &failure);
	if (status >= 0)
		return status;
	failure_print(
	    &failure, version,
	    failure.code == CNI_TRY_AGAIN || failure.code == CNI_NOT_AVAILABLE
		? "the runtime tries again; `systemctl status` or `kubectl -n kube-system get pods` show the agent"
		: NULL);
	return 1;
}
