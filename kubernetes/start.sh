#!/usr/bin/env bash
# start.sh MACHINE COMPONENT: starts etcd, kube-apiserver, kube-controller-manager or kube-scheduler on cp, or containerd,
# kubelet or kube-proxy on a node, with the files that up.sh has made. Its log is $KUBERNETES_CACHE/run/MACHINE/COMPONENT.log.
#   NODE_NAME   how a kubelet calls its node (as MACHINE); parts/certificates.sh NAME has made its certificate
set -euo pipefail
. "$(dirname "$0")/settings.sh"
machine=$1 component=$2 home=$run/$1
. "$run/chosen" # how up.sh was called: containerd

authenticated() { # controller manager and scheduler
	echo "--kubeconfig=$pki/$1.kubeconfig" "--authentication-kubeconfig=$pki/$1.kubeconfig" \
		"--authorization-kubeconfig=$pki/$1.kubeconfig" --bind-address=127.0.0.1 --leader-elect=false
}

path=$programs:$PATH
command=("$programs/$component")
case "$component" in
etcd)
	command+=(--name sluice --data-dir "$home/etcd" --unsafe-no-fsync
		--listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379
		--listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380
		--initial-cluster sluice=http://127.0.0.1:2380)
	;;
kube-apiserver)
	command+=(--etcd-servers=http://127.0.0.1:2379 "--bind-address=$api_address" "--advertise-address=$api_address" --secure-port=6443
		"--tls-cert-file=$pki/apiserver.crt" "--tls-private-key-file=$pki/apiserver.key" "--client-ca-file=$pki/ca.crt"
		"--kubelet-client-certificate=$pki/apiserver-kubelet.crt" "--kubelet-client-key=$pki/apiserver-kubelet.key"
		--kubelet-preferred-address-types=InternalIP,Hostname
		--service-account-issuer=https://kubernetes.default.svc.cluster.local
		"--service-account-key-file=$pki/sa.pub" "--service-account-signing-key-file=$pki/sa.key"
		"--service-cluster-ip-range=$service_cidrs" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction
		--allow-privileged=true --profiling=false --enable-aggregator-routing=true
		"--proxy-client-cert-file=$pki/front-proxy.crt" "--proxy-client-key-file=$pki/front-proxy.key"
		"--requestheader-client-ca-file=$pki/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client
		--requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group
		--requestheader-username-headers=X-Remote-User)
	;;
kube-controller-manager)
	# shellcheck disable=SC2046 # words
	command+=($(authenticated "$component") --use-service-account-credentials=true
		"--service-account-private-key-file=$pki/sa.key" "--root-ca-file=$pki/ca.crt"
		"--cluster-signing-cert-file=$pki/ca.crt" "--cluster-signing-key-file=$pki/ca.key"
		"--requestheader-client-ca-file=$pki/front-proxy-ca.crt"
		"--cluster-cidr=$pod_cidrs" "--service-cluster-ip-range=$service_cidrs"
		"--allocate-node-cidrs=${pod_cidr_allocator:-true}" --node-cidr-mask-size-ipv4=24 --node-cidr-mask-size-ipv6=64
		--node-monitor-period=2s --node-monitor-grace-period=20s)
	;;
kube-scheduler)
	# shellcheck disable=SC2046 # words
	command+=($(authenticated "$component"))
	;;
containerd)
	# It finds its runc shim in PATH, and 1.6 cannot talk to that of 2.x.
	path=$containerd_directory:$path
	command=("$containerd_directory/containerd" --config "$home/containerd.toml")
	;;
kubelet)
	number=${machine#n}
	node=${NODE_NAME:-$machine}
	command+=("--config=$home/kubelet.yaml" "--kubeconfig=$pki/$node.kubeconfig" "--hostname-override=$node"
		"--node-ip=$LAN.10$number,$LAN6::10$number" "--node-labels=topology.kubernetes.io/zone=zone-$number"
		--root-dir=/var/lib/kubelet --v=2)
	;;
kube-proxy) command+=("--config=$home/kube-proxy.yaml") ;;
*)
	echo "start.sh: no component $component" >&2
	exit 2
	;;
esac

# It writes down its process id as the machine counts, by which stop.sh finds it.
rm -f "$home/$component.pid"
on "$machine" setsid env PATH="$path" sh -c 'echo $$ >"$0" && exec "$@"' "$home/$component.pid" "${command[@]}" \
	>>"$home/$component.log" 2>&1 </dev/null &
disown
wait_for 5 "process of $component on $machine" test -s "$home/$component.pid"
