/*
 * No hook: asked by `sluice explain`, by test run, with config_dry_run set. Programs of sockets cannot be test-run;
 * these decide by the same functions. The programs of packets are test-run themselves, see lib/explain.h.
 *
 * The question is the packet. SEC("syscall") would take it as its context, but such programs may sleep, and to those
 * the verifier refuses tries (source_ranges; 6.18: "Sleepable programs can only use array, hash, ...").
 */
#include "lib/question.h"
#include "lib/socket.h"

static __always_inline void explain_call(struct socket_question *question)
{
	struct service_request request = {
	    .key = {.address = question->address, .port = question->port, .protocol = question->protocol},
	};
	struct frontend *frontend = frontend_find(&request.key);
	struct service_choice choice = {};
	bool is_node = bpf_map_lookup_elem(&netns_endpoints, &question->netns_cookie) == NULL;

	question->result = SOCKET_RESULT_UNCHANGED;
	request.client = socket_client_in(question->netns_cookie, address_is_ipv4(&request.key.address));
	question->client = request.client;
	if (!frontend || ((frontend->flags & FRONTEND_FLAG_LOOPBACK) && !is_node))
		return;
	question->service_id = frontend->service_id;
	question->generation = frontend->generation;
	question->backend_count = frontend->backend_count;
	question->affinity_seconds = frontend->affinity_seconds;
	question->result = SOCKET_RESULT_NOT_ALLOWED;
	if (!service_allows(frontend, &request.client, is_node))
		return;
	question->is_by_affinity =
	    (frontend->flags & FRONTEND_FLAG_AFFINITY) && service_choose_by_affinity(frontend, &request, &choice);
	question->result = socket_result_of_none(frontend);
	if (!service_choose(frontend, &request, &choice))
		return;
	question->result = SOCKET_RESULT_NO_BACKEND;
	if (!socket_can_reach(&choice, &request.key.address))
		return;
	question->result = SOCKET_RESULT_TRANSLATED;
	question->backend = choice.backend->address;
	question->backend_port = choice.backend->port;
	question->backend_id = choice.backend_id;
}

SEC("tc")
int explain_socket(struct __sk_buff *skb)
{
	struct socket_question question = {};

	if (bpf_skb_load_bytes(skb, 0, &question, sizeof(question)) != 0)
		return TC_ACT_SHOT;
	explain_call(&question);
	return bpf_skb_store_bytes(skb, 0, &question, sizeof(question), 0) == 0 ? TC_ACT_OK : TC_ACT_SHOT;
}

static __always_inline enum service_answer explain_choice(const struct frontend *frontend,
							  const struct service_request *request,
							  struct service_question *question)
{
	struct service_choice choice = {};

	if (!service_allows(frontend, &request->client, question->is_node))
		return SERVICE_ANSWER_NOT_ALLOWED;
	question->is_by_affinity =
	    (frontend->flags & FRONTEND_FLAG_AFFINITY) && service_choose_by_affinity(frontend, request, &choice);
	if (!service_choose(frontend, request, &choice))
		return frontend->flags & FRONTEND_FLAG_ELSEWHERE ? SERVICE_ANSWER_NO_LOCAL_BACKEND
								 : SERVICE_ANSWER_NO_BACKEND;
	question->backend = choice.backend->address;
	question->backend_port = choice.backend->port;
	question->backend_id = choice.backend_id;
	return SERVICE_ANSWER_BACKEND;
}

/* The row that a client of this kind has, by the functions of dnat.h, and what he gets there. */
static __always_inline void explain_row(struct service_question *question)
{
	struct service_request request = {
	    .key = {.address = question->address, .port = question->port, .protocol = question->protocol},
	    .client = question->client,
	    .client_port = question->client_port,
	    .is_external = question->is_external,
	};
	struct frontend *frontend = frontend_find_for(&request.key, question->is_external);

	question->answer = SERVICE_ANSWER_NONE;
	if (!frontend || ((frontend->flags & FRONTEND_FLAG_LOOPBACK) && !question->is_node))
		return;
	question->frontend = request.key.address;
	question->scope = request.key.scope;
	question->service_id = frontend->service_id;
	question->generation = frontend->generation;
	question->backend_count = frontend->backend_count;
	question->affinity_seconds = frontend->affinity_seconds;
	question->flags = frontend->flags;
	question->maglev_size = frontend->maglev_size;
	question->answer = explain_choice(frontend, &request, question);
}

SEC("tc")
int explain_service(struct __sk_buff *skb)
{
	struct service_question question = {};

	if (bpf_skb_load_bytes(skb, 0, &question, sizeof(question)) != 0)
		return TC_ACT_SHOT;
	explain_row(&question);
	return bpf_skb_store_bytes(skb, 0, &question, sizeof(question), 0) == 0 ? TC_ACT_OK : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
