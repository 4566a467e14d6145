#include "tun.h"
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "wire.h"

#define DEVICE "tun0"

static void configure(int control, unsigned long request, void *argument, const char *what)
{
	if (ioctl(control, request, argument))
		fail("%s of " DEVICE, what);
}

static void configure_ipv4(const address_t *own)
{
	struct ifreq request = {.ifr_name = DEVICE};
	struct rtentry route = {.rt_flags = RTF_UP, .rt_dev = DEVICE};
	int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&request.ifr_addr, own, sizeof(struct sockaddr_in));
	configure(control, SIOCSIFADDR, &request, "set the address");
	route.rt_dst.sa_family = route.rt_genmask.sa_family = AF_INET;
	configure(control, SIOCADDRT, &route, "add a route");
	close(control);
}

static void configure_ipv6(const address_t *own, int ifindex)
{
	struct in6_ifreq address = {.ifr6_prefixlen = 128, .ifr6_ifindex = ifindex};
	struct in6_rtmsg route = {.rtmsg_ifindex = ifindex, .rtmsg_flags = RTF_UP, .rtmsg_metric = 1};
	int control = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&address.ifr6_addr, address_bytes(own), 16);
	configure(control, SIOCSIFADDR, &address, "set the address");
	configure(control, SIOCADDRT, &route, "add a route");
	/* It is tentative until the kernel's worker has seen that nobody else can have it here. */
	for (int tries = 0; bind(control, (const void *)own, sizeof(struct sockaddr_in6)); tries++) {
		if (tries == 1000)
			fail("use the address of " DEVICE);
		usleep(1000);
	}
	close(control);
}

int tun_open(int mtu, const address_t *ipv4, const address_t *ipv6)
{
	struct ifreq request = {.ifr_name = DEVICE, .ifr_flags = IFF_TUN | IFF_NO_PI};

	if (unshare(CLONE_NEWNET))
		fail("make a network namespace (it takes the capability SYS_ADMIN)");
	int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (tun < 0 || ioctl(tun, TUNSETIFF, &request))
		fail("open /dev/net/tun");
	int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	request.ifr_mtu = mtu;
	configure(control, SIOCSIFMTU, &request, "set the MTU");
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	configure(control, SIOCSIFFLAGS, &request, "bring up");
	configure(control, SIOCGIFINDEX, &request, "find the index");
	if (ipv4)
		configure_ipv4(ipv4);
	if (ipv6)
		configure_ipv6(ipv6, request.ifr_ifindex);
	close(control);
	return tun;
}
