#!/usr/bin/env bash
# Builds all that the cluster is made of, from Go modules and Debian packages, into $KUBERNETES_CACHE: 15 minutes on two cores
# and 4 GB of disk the first time, seconds when nothing has changed. Needs root and Go >= 1.26.
set -euo pipefail
. "$(dirname "$0")/settings.sh"

packages=(runc containerd busybox-static netcat-openbsd bind9-dnsutils wget curl conntrack iptables nftables bc openssl gcc libc6-dev)
missing=()
for package in "${packages[@]}"; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
if [ ${#missing[@]} -gt 0 ]; then
	{ apt-get update -q && apt-get install -yq --no-install-recommends "${missing[@]}"; } >"$KUBERNETES_CACHE/apt.log" 2>&1 || {
		tail -5 "$KUBERNETES_CACHE/apt.log" >&2
		echo "build: apt-get could not install ${missing[*]} (log: $KUBERNETES_CACHE/apt.log)" >&2
		exit 1
	}
fi
command -v go >/dev/null || { echo "build: Go is missing: install Go >= 1.26" >&2; exit 1; }

kubernetes=$recipe/modules/kubernetes
if [ "$KUBERNETES_VERSION" != "$pinned_kubernetes" ]; then
	kubernetes=$KUBERNETES_CACHE/$KUBERNETES_VERSION/module
	"$recipe/parts/module-of-version.sh" "$kubernetes"
	export GOFLAGS=-mod=mod # nothing is pinned for a version that is asked for in passing
fi

minor=${KUBERNETES_VERSION#v1.} minor=${minor%%.*}
stamp="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	stamp+=" -X $package.gitVersion=$KUBERNETES_VERSION -X $package.gitMajor=1 -X $package.gitMinor=$minor"
	stamp+=" -X $package.gitTreeState=clean -X $package.gitCommit=gomodule -X $package.buildDate=1970-01-01T00:00:00Z"
done

build_kubernetes() {
	cd "$kubernetes"
	go build -trimpath -ldflags "$stamp" -o "$programs/kubeall" ./kubeall
	for name in etcd kubectl kubelet kube-apiserver kube-controller-manager kube-proxy kube-scheduler; do
		ln -sf kubeall "$programs/$name"
	done
}
build_test_programs() {
	cd "$kubernetes"
	for name in agnhost regression-issue-74839; do
		go build -trimpath -ldflags '-s -w' -o "$programs/$name" "k8s.io/kubernetes/test/images/$name"
	done
}
build_e2e() {
	cd "$kubernetes"
	go test -c -trimpath -ldflags "$stamp" -o "$programs/e2e.test" k8s.io/kubernetes/test/e2e
	go build -trimpath -ldflags '-s -w' -o "$programs/ginkgo" github.com/onsi/ginkgo/v2/ginkgo
}
build_containerd() {
	cd "$recipe/modules/containerd"
	mkdir -p "$programs/containerd2"
	local version
	version=$(module_version containerd github.com/containerd/containerd/v2)
	for name in containerd containerd-shim-runc-v2 ctr; do
		go build -mod=readonly -trimpath -tags no_btrfs,no_devmapper,no_zfs,no_aufs \
			-ldflags "-s -w -X github.com/containerd/containerd/v2/version.Version=$version" \
			-o "$programs/containerd2/" "github.com/containerd/containerd/v2/cmd/$name"
	done
}
build_coredns() {
	cd "$recipe/modules/coredns"
	go build -mod=readonly -trimpath -ldflags '-s -w' -o "$programs/coredns" github.com/coredns/coredns
}
build_cni() {
	cd "$recipe/modules/cni"
	mkdir -p "$programs/cni"
	for name in main/bridge main/loopback ipam/host-local meta/portmap; do
		go build -mod=readonly -trimpath -ldflags '-s -w' -o "$programs/cni/" "github.com/containernetworking/plugins/plugins/$name"
	done
}
build_images() { "$recipe/parts/images.sh" "$kubernetes"; }

for step in kubernetes containerd cni coredns test_programs e2e images; do
	[ $# -eq 0 ] || [[ " $* " == *" $step "* ]] || continue # build.sh STEP...: only these
	began=$SECONDS log=$KUBERNETES_CACHE/build-$step.log
	# Not `if ! ( ... )`: bash then forgets `set -e` inside.
	set +e
	(set -e; "build_$step") >"$log" 2>&1
	status=$?
	set -e
	if [ $status -ne 0 ]; then
		tail -20 "$log" >&2
		echo "build: $step failed (whole output: $log)" >&2
		exit 1
	fi
	echo "$step: $((SECONDS - began)) s"
done
