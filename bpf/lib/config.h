/* Configuration at load: read-only data that the verifier uses to remove dead code. Filled by the loader, host order.
 */
#pragma once
#include "address.h"

/* Loopback-safe defaults: an object that nobody configured drops nothing of the host's. */
const volatile __u32 config_host_ifindex;
const volatile __u32 config_overlay_ifindex;
const volatile struct mac config_host_mac;
/* The node's own reserved address in the pod network, answered for by ARP and NDP. */
const volatile struct address config_gateway_ipv4;
const volatile struct address config_gateway_ipv6;
/* Identity of traffic of the node itself towards other nodes. */
const volatile __u32 config_node_identity;
const volatile __u8 config_ipv4_enabled;
const volatile __u8 config_ipv6_enabled;
/* Pods' packets to the world leave with the address of the device that they leave by. */
const volatile __u8 config_masquerade_ipv4;
const volatile __u8 config_masquerade_ipv6;
/* Packets to the world skip the host's stack: routes are looked up by the programs. */
const volatile __u8 config_host_routing;
/* Where the node's own end of the tunnel is, as the other nodes know it; all zero: not by this family. */
const volatile struct address config_underlay_ipv4;
const volatile struct address config_underlay_ipv6;
/* UDP port of the tunnel, network byte order. */
const volatile __be16 config_tunnel_port;
/* Ports of the node that services may have, both included, host order. */
const volatile __u16 config_node_port_min;
const volatile __u16 config_node_port_max;
/* The node's own network namespace, by SO_NETNS_COOKIE. */
const volatile __u64 config_host_netns_cookie;
/* Whether its processes are refused ports that services have there. */
const volatile __u8 config_bind_protection;
/* Where the hashes of clients begin that Maglev tables are asked by: the same on all nodes. */
const volatile __u32 config_maglev_seed_ipv4;
const volatile __u32 config_maglev_seed_ipv6;
/* A second instance for `explain`: counts nothing, changes nothing. */
const volatile __u8 config_dry_run;
