/*
 * Never loaded. Holds one variable of every struct and enum that TypeScript must know and that no map mentions, so that
 * they are in BTF; the generator reads maps, `contract_*` variables and the configuration from here.
 */
#include <stdbool.h>
#include "lib/address.h"
#include "lib/config.h"
#include "lib/conntrack.h"
#include "lib/device.h"
#include "lib/drop.h"
#include "lib/endpoint.h"
#include "lib/explanation.h"
#include "lib/fragment.h"
#include "lib/frame_count.h"
#include "lib/hold.h"
#include "lib/ipcache.h"
#include "lib/kfree.h"
#include "lib/next_hop.h"
#include "lib/service.h"
#include "lib/shortage.h"
#include "lib/question.h"
#include "lib/trace.h"
#include "lib/inspect.h"
#include "lib/stale.h"
#include "lib/translation.h"

enum drop_reason contract_drop_reason;
enum direction contract_direction;
enum trace_point contract_trace_point;
enum event_type contract_event_type;
enum ct_state contract_ct_state;
enum ct_kind contract_ct_kind;
enum ct_flag contract_ct_flag;
enum fragment_flag contract_fragment_flag;
enum frame_way contract_frame_way;
enum frame_device_flag contract_frame_device_flag;
enum endpoint_flag contract_endpoint_flag;
enum ipcache_flag contract_ipcache_flag;
enum frontend_flag contract_frontend_flag;
enum frontend_scope contract_frontend_scope;
enum backend_state contract_backend_state;
enum way contract_way;
enum ct_status contract_ct_status;
enum snat_port contract_snat_port;
enum socket_result contract_socket_result;
enum service_answer contract_service_answer;
enum kernel_device_flag contract_kernel_device_flag;

struct drop_event contract_drop_event;
struct trace_event contract_trace_event;
struct kernel_drop_event contract_kernel_drop_event;
struct inspected_translation contract_inspected_translation;
struct inspected_map contract_inspected_map;
struct peer contract_peer;
struct socket_question contract_socket_question;
struct service_question contract_service_question;

char LICENSE[] SEC("license") = "Dual MIT/GPL";
