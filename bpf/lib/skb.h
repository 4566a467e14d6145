/* The kernel's own types as far as we read them; where their fields stand is found when the program is loaded (CO-RE).
 */
#pragma once
#include <linux/types.h>

#define CORE __attribute__((preserve_access_index))

struct net {
	__u64 net_cookie;
} CORE;

struct net_device {
	char name[16];
	int ifindex;
	struct {
		struct net *net;
	} nd_net;
	const unsigned char *dev_addr;
} CORE;

struct sk_buff {
	/* Something else while the packet is in a socket's queue; reading through it gives zeros then. */
	struct net_device *dev;
	unsigned int len;
	unsigned int data_len;
	__be16 protocol;
	__u16 mac_header;
	__u16 network_header;
	/* Where pkt_type begins, in the lowest three bits. */
	__u8 __pkt_type_offset[0];
	unsigned int tail;
	unsigned char *head;
	unsigned char *data;
} CORE;

/* pkt_type (linux/if_packet.h): to a group, or to another machine. */
#define PACKET_TYPE_MASK 7
#define PACKET_TYPE_BROADCAST 1
#define PACKET_TYPE_MULTICAST 2
#define PACKET_TYPE_OTHER_HOST 3
