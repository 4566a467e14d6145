#!/usr/bin/env bash
# images.sh MODULE: the images that the cluster's pods name, out of files, under the upstream names and the tags that
# k8s.io/kubernetes/test/utils/image/manifest.go of this version asks for.
set -euo pipefail
. "$(dirname "$0")/../settings.sh"
source=$(cd "$1" && go list -m -f '{{.Dir}}' k8s.io/kubernetes)
roots=$(mktemp -d)
trap 'rm -rf "$roots"' EXIT

tag_of() { # tag_of Agnhost: what the e2e tests of this version use
	sed -n "s|.*configs\[$1\] *= *Config{[^,]*, *\"[^\"]*\", *\"\([^\"]*\)\".*|\1|p" "$source/test/utils/image/manifest.go" | head -1
}
image() { "$recipe/parts/image.sh" "$images/$1.tar" "$roots/$1" "${@:2}"; }
upstream=registry.k8s.io/e2e-test-images

with_libraries() { # with_libraries ROOT PROGRAM...: this machine's programs and every library that they load
	local root=$1 program file
	shift
	mkdir -p "$root/usr/bin"
	for program in "$@"; do
		program=$(command -v "$program")
		cp -L "$program" "$root/usr/bin/"
		for file in $(ldd "$program" | grep -oE '/[^ ]+' | sort -u); do
			mkdir -p "$root$(dirname "$file")"
			cp -Ln "$file" "$root$file"
		done
	done
}
with_busybox() {
	local root=$1 applet
	mkdir -p "$root"/{bin,etc,tmp,proc,sys,dev,root,home,var,uploads}
	chmod 1777 "$root/tmp"
	cp /bin/busybox "$root/bin/busybox"
	for applet in $(/bin/busybox --list); do [ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"; done
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
	printf 'root:x:0:\nnobody:x:65534:\n' >"$root/etc/group"
	printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
}

mkdir -p "$roots/pause"
cc -Os -static -s -o "$roots/pause/pause" "$recipe/parts/pause.c"
image pause '["/pause"]' '[]' 65535:65535 registry.k8s.io/pause:3.10.1 "registry.k8s.io/pause:$(tag_of Pause)"

with_busybox "$roots/busybox"
image busybox '[]' '["sh"]' '' "$upstream/busybox:$(tag_of BusyBox)" docker.io/library/busybox:latest

agnhost=$roots/agnhost
with_busybox "$agnhost"
cp "$programs/agnhost" "$agnhost/agnhost"
ln -s agnhost "$agnhost/agnhost-2"
cp "$source"/test/images/agnhost/porter/localhost.{crt,key} "$agnhost/"
cp "$programs/coredns" "$agnhost/coredns"
with_libraries "$agnhost" dash getent wget curl dig nc ss ip bash iptables conntrack nft
# Debian's static busybox has a shell that prefers its own nc and wget to those in PATH, and its wget crashes when it looks up
# names (static glibc); the tests use netcat-openbsd's options.
ln -sf ../usr/bin/dash "$agnhost/bin/sh"
mkdir -p "$agnhost/etc/ssl/certs"
cp /etc/ssl/certs/ca-certificates.crt "$agnhost/etc/ssl/certs/"
# What dynamic programs load to resolve names.
for library in libnss_dns.so.2 libnss_files.so.2 libresolv.so.2; do
	file=$(ldconfig -p | sed -n "s|.*$library .*=> ||p" | head -1)
	mkdir -p "$agnhost$(dirname "$file")"
	cp -Ln "$file" "$agnhost$file"
done
image agnhost '["/agnhost"]' '["pause"]' '' "$upstream/agnhost:$(tag_of Agnhost)" "$upstream/agnhost:$(tag_of AgnhostPrev)" docker.io/sluice-test/agnhost:1 \
	"$upstream/jessie-dnsutils:$(tag_of JessieDnsutils)" "registry.k8s.io/build-image/distroless-iptables:$(tag_of DistrolessIptables)"

with_busybox "$roots/regression"
cp "$programs/regression-issue-74839" "$roots/regression/regression-issue-74839"
image regression '["/regression-issue-74839"]' '[]' '' "$upstream/regression-issue-74839:$(tag_of RegressionIssue74839)"

mkdir -p "$roots/coredns"
cp "$programs/coredns" "$roots/coredns/coredns"
image coredns '["/coredns"]' '[]' '' docker.io/sluice-test/coredns:1
ls -l "$images"
