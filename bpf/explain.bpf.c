/*
 * No hook: asked by `sluice explain`, by test run, with config_dry_run set. Programs of sockets cannot be test-run;
 * this one decides by the same functions. The programs of packets are test-run themselves, see lib/explain.h.
 */
#include "lib/question.h"
#include "lib/socket.h"

SEC("syscall")
int explain_socket(struct socket_question *question)
{
	struct service_request request = {
	    .key = {.address = question->address, .port = question->port, .protocol = question->protocol},
	};
	struct frontend *frontend = frontend_find(&request.key);
	struct service_choice choice = {};
	__u64 cookie = question->netns_cookie;

	question->result = SOCKET_RESULT_UNCHANGED;
	request.client = socket_client_in(cookie, address_is_ipv4(&request.key.address));
	question->client = request.client;
	question->is_node = bpf_map_lookup_elem(&netns_endpoints, &cookie) == NULL;
	if (!frontend)
		return 0;
	question->service_id = frontend->service_id;
	question->generation = frontend->generation;
	question->backend_count = frontend->backend_count;
	question->affinity_seconds = frontend->affinity_seconds;
	question->frontend_flags = frontend->flags;
	question->is_by_affinity =
	    (frontend->flags & FRONTEND_FLAG_AFFINITY) && service_choose_by_affinity(frontend, &request, &choice);
	question->result = SOCKET_RESULT_NO_BACKEND;
	if (!service_choose(frontend, &request, &choice) || !socket_can_reach(&choice, &request.key.address))
		return 0;
	question->result = SOCKET_RESULT_TRANSLATED;
	question->backend = choice.backend->address;
	question->backend_port = choice.backend->port;
	question->backend_id = choice.backend_id;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
