# Settings of every script here, and what they share; sourced. Each setting is an environment variable with a default.
#   KUBERNETES_CACHE    where everything is kept: Go's caches, programs, images, the running cluster
#   KUBERNETES_VERSION  another one than modules/kubernetes/go.mod names, v1.33 or later
#   NODES, LAN, LAN6, DEVICE, CGROUP   how many nodes, their network, device and cgroup subtree
recipe=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export KUBERNETES_CACHE=${KUBERNETES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice-kubernetes}
module_version() { sed -n "s|^\(require \)\?\s*$2 \(v[^ ]*\).*|\2|p" "$recipe/modules/$1/go.mod" | head -1; }
pinned_kubernetes=$(module_version kubernetes k8s.io/kubernetes)
export KUBERNETES_VERSION=${KUBERNETES_VERSION:-$pinned_kubernetes}
export GOMODCACHE=$KUBERNETES_CACHE/gomod GOCACHE=$KUBERNETES_CACHE/gocache GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=
# The version's own folder: several can lie beside one another.
programs=$KUBERNETES_CACHE/bin
[ "$KUBERNETES_VERSION" = "$pinned_kubernetes" ] || programs=$KUBERNETES_CACHE/$KUBERNETES_VERSION/bin
images=$(dirname "$programs")/images
run=$KUBERNETES_CACHE/run
mkdir -p "$programs" "$images"

export NODES=${NODES:-3} LAN=${LAN:-10.10.30} LAN6=${LAN6:-fd00:10:10:30} DEVICE=${DEVICE:-eno1} CGROUP=${CGROUP:-sluice-kubernetes}
api_address=$LAN.10 dns_address=10.96.0.10
service_cidrs=10.96.0.0/16,fd00:10:96::/112 pod_cidrs=10.244.0.0/16,fd00:10:244::/48
pki=$run/pki
export KUBECONFIG=$pki/admin.kubeconfig
node_names() { seq -f 'n%g' "$NODES"; }
cgroup2=/sys/fs/cgroup/unified
[ -e "$cgroup2/cgroup.procs" ] || cgroup2=/sys/fs/cgroup

init_of() { cat "$run/$1/init.pid"; } # process id, as this machine counts, of a machine's init

# on MACHINE COMMAND...: in the machine's namespaces and in its cgroup, where a node's socket hooks are attached.
on() (
	init=$(init_of "$1")
	echo 0 >"$cgroup2/$CGROUP/$1/cgroup.procs"
	shift
	exec nsenter -t "$init" -m -u -i -n -p -- "$@"
)

kubectl() { nsenter -t "$(init_of cp)" -n "$programs/kubectl" "$@"; }

wait_for() { # wait_for SECONDS WHAT COMMAND...
	local seconds=$1 what=$2 end=$((SECONDS + $1))
	shift 2
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || {
			echo "not within $seconds s: $what" >&2
			return 1
		}
		sleep 0.3
	done
}
