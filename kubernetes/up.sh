#!/usr/bin/env bash
# Brings up a whole Kubernetes on this machine: a control plane (cp) and $NODES nodes (n1, n2, ...), each in namespaces of its own.
#   NETWORK=none|plain      none: nodes stay NotReady until somebody installs a network; plain: bridge, static routes
#   PROXY=none|nftables|iptables   kube-proxy in that mode
#   CONTAINERD=2|1          the 2.x that is built here, or Debian's 1.6
#   POD_CIDRS=kubernetes|none      none: the controller manager gives nodes no pod CIDRs
# build.sh must have run. down.sh takes it away again.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
network=${NETWORK:-none} proxy=${PROXY:-none} containerd=${CONTAINERD:-2}
[ ! -e "$run/cp/init.pid" ] || { echo "up: it is up already, or was not taken down: $recipe/down.sh" >&2; exit 1; }
for program in kubeall containerd2/containerd; do
	[ -x "$programs/$program" ] || { echo "up: $programs/$program is missing: run $recipe/build.sh" >&2; exit 1; }
done
mkdir -p "$run"
began=$(date +%s%N)
say() { printf '%6.1f s  %s\n' "$((($(date +%s%N) - began) / 100000000))e-1" "$*"; }

{
	[ "$containerd" = 1 ] && echo containerd_directory=/usr/bin || echo "containerd_directory=$programs/containerd2"
	[ "${POD_CIDRS:-kubernetes}" = none ] && echo pod_cidr_allocator=false
	:
} >"$run/chosen"
. "$run/chosen"
"$recipe/parts/certificates.sh"

cgroup_v1_folders() { find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d ! -name unified; }
make_cgroups() { # in every hierarchy; a cpuset without CPUs takes no process
	local folder
	for folder in $(cgroup_v1_folders) "$cgroup2"; do mkdir -p "$folder/$1"; done
	[ ! -e /sys/fs/cgroup/cpuset ] || for file in cpuset.cpus cpuset.mems; do cat "/sys/fs/cgroup/cpuset/$file" >"/sys/fs/cgroup/cpuset/$1/$file"; done
}
machine() {
	mkdir -p "$run/$1"
	make_cgroups "$CGROUP/$1"
	setsid unshare --net --mount --uts --ipc --pid --fork "$recipe/parts/machine-init.sh" "$1" "$run/$1" "$cgroup2/$CGROUP/$1" \
		>"$run/$1/init.log" 2>&1 </dev/null &
	local parent=$!
	disown
	wait_for 5 "init of $1" pgrep -P "$parent"
	pgrep -P "$parent" >"$run/$1/init.pid"
	wait_for 10 "mounts of $1 (see $run/$1/init.log)" on "$1" test -e /run/ready
}
start() { "$recipe/start.sh" "$@"; }

# --- machines and their LAN: a bridge on cp, which is also the nodes' way out
make_cgroups "$CGROUP"
machine cp
on cp sh -c "ip link add br0 type bridge && ip addr add $api_address/24 dev br0 && ip addr add $LAN6::10/64 dev br0 nodad && ip link set br0 up &&
	sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"
for name in $(node_names); do
	number=${name#n}
	machine "$name"
	ip link add "cable-$name" netns "$(init_of cp)" type veth peer name "$DEVICE" netns "$(init_of "$name")"
	on cp ip link set "cable-$name" master br0 up
	on "$name" sh -c "ip addr add $LAN.10$number/24 dev $DEVICE && ip addr add $LAN6::10$number/64 dev $DEVICE nodad && ip link set $DEVICE up &&
		ip route add default via $api_address && ip route add default via $LAN6::10"
	# The API server's own way to pods (proxy, webhooks): cp is no node of the cluster.
	on cp sh -c "ip route add 10.244.$((number - 1)).0/24 via $LAN.10$number && ip route add fd00:10:244:$((number - 1))::/64 via $LAN6::10$number"
done
# The world outside: a host behind cp as its router, which has no way to pods or services. Addresses for documentation (RFC 5737, 3849).
on cp sh -c "ip netns add internet && ip link add world type veth peer name eth0 netns internet && ip link set world up &&
	ip addr add 198.51.100.1/24 dev world && ip addr add 2001:db8:100::1/64 dev world nodad &&
	ip -n internet link set lo up && ip -n internet link set eth0 up && ip -n internet addr add 198.51.100.10/24 dev eth0 &&
	ip -n internet addr add 2001:db8:100::10/64 dev eth0 nodad &&
	ip -n internet route add default via 198.51.100.1 && ip -n internet route add default via 2001:db8:100::1"
say "machines cp $(node_names | tr '\n' ' ')"

# --- control plane
mkdir -p "$run/cp/etcd"
start cp etcd
start cp kube-apiserver
wait_for 60 "API server (see $run/cp/kube-apiserver.log)" kubectl get --raw /readyz
start cp kube-controller-manager
start cp kube-scheduler
say "API server"

# --- nodes
start_node() {
	local name=$1 home=$run/$1 archive
	"$recipe/parts/containerd-config.sh" "$containerd" >"$home/containerd.toml"
	start "$name" containerd
	wait_for 30 "containerd on $name (see $home/containerd.log)" on "$name" "$containerd_directory/ctr" version
	for archive in "$images"/*.tar "$recipe/../dist/sluice-image.tar"; do
		[ ! -e "$archive" ] || on "$name" "$containerd_directory/ctr" -n k8s.io images import "$archive" >>"$home/images.log" 2>&1
	done
	[ "$network" = none ] || plain_network "$name"
	kubelet_configuration "$name" >"$home/kubelet.yaml"
	start "$name" kubelet
	[ "$proxy" = none ] || { proxy_configuration "$name" >"$home/kube-proxy.yaml"; start "$name" kube-proxy; }
}
kubelet_configuration() {
	cat <<K
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP/$1
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
clusterDNS: [$dns_address]
clusterDomain: cluster.local
resolvConf: /etc/resolv.conf
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%}
maxPods: 120
nodeStatusUpdateFrequency: 4s
K
}
plain_network() { # the reference plugins
	local number=$((${1#n} - 1))
	on "$1" sh -c "cp $programs/cni/* /opt/cni/bin/ && sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"
	on "$1" tee /etc/cni/net.d/10-plain.conflist >/dev/null <<C
{"cniVersion":"1.0.0","name":"plain","plugins":[
{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,"hairpinMode":true,"ipam":{"type":"host-local","dataDir":"/run/cni-ipam",
"ranges":[[{"subnet":"10.244.$number.0/24"}],[{"subnet":"fd00:10:244:$number::/64"}]],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}},
{"type":"portmap","capabilities":{"portMappings":true}}]}
C
	local other
	for other in $(node_names); do
		[ "$other" = "$1" ] || on "$other" sh -c "ip route add 10.244.$number.0/24 via $LAN.10${1#n} && ip route add fd00:10:244:$number::/64 via $LAN6::10${1#n}"
	done
}
proxy_configuration() {
	cat <<K
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: $proxy
clusterCIDR: $pod_cidrs
hostnameOverride: $1
clientConnection: {kubeconfig: $pki/kube-proxy.kubeconfig}
oomScoreAdj: 0
conntrack: {maxPerCore: 0}
iptables: {syncPeriod: 30s, minSyncPeriod: 100ms}
nftables: {syncPeriod: 30s, minSyncPeriod: 100ms}
K
}
node_count() { [ "$(kubectl get nodes --no-headers | awk -v state="$1" '$2 ~ "^" state "$"' | wc -l)" = "$NODES" ]; }
# One after the other: the pod CIDRs go by order of registration, and n1 is to have the first.
for name in $(node_names); do
	start_node "$name"
	wait_for 60 "node $name registers (see $run/$name/kubelet.log)" kubectl get node "$name"
	say "node $name"
done
kubectl apply -f "$recipe/manifests/coredns.yaml" >/dev/null
if [ "$network" = plain ]; then
	wait_for 90 "all nodes Ready" node_count Ready
	say "all nodes Ready"
fi
kubectl get nodes -o wide
