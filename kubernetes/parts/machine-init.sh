#!/usr/bin/env bash
# machine-init.sh NAME DIRECTORY CGROUP: the first process of a machine, in namespaces of its own: makes the mounts that a node's
# software expects for itself, then buries orphans. When it is killed, the kernel kills all that runs on the machine.
set -eu
name=$1 directory=$2 cgroup=$3
hostname "$name"
mount --make-rprivate /
mount -t proc proc /proc
# /sys of this network namespace, with the cgroups put back.
mkdir -p "$directory/cgroup"
mount --rbind /sys/fs/cgroup "$directory/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$directory/cgroup" /sys/fs/cgroup
umount -l "$directory/cgroup"
mount -t bpf bpf /sys/fs/bpf
# What it writes to /etc and /var is thrown away.
mkdir -p "$directory/overlay"
mount -t tmpfs tmpfs "$directory/overlay"
for folder in etc var; do
	mkdir -p "$directory/overlay/$folder"/{upper,work}
	mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$directory/overlay/$folder/upper,workdir=$directory/overlay/$folder/work" "/$folder"
done
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /opt
mkdir -p /run/lock /run/netns /opt/cni/bin /etc/cni/net.d
echo "$name" >/etc/hostname
printf '127.0.0.1 localhost\n' >/etc/hosts
: >/etc/resolv.conf
# Its part of cgroup v2 under the same name on every machine: what a real one has at /sys/fs/cgroup.
mkdir -p /var/cgroup2
mount --bind "$cgroup" /var/cgroup2
# On disk: overlayfs does not stack on overlayfs, and images are large.
for folder in var/lib/containerd var/lib/kubelet var/log/pods; do
	mkdir -p "$directory/disk/$folder" "/$folder"
	mount --bind "$directory/disk/$folder" "/$folder"
done
# The kubelet insists on these settings, which are the whole machine's: it is shown files that have the values already.
mkdir -p /run/sysctl
shown() {
	printf '%s\n' "$2" >"/run/sysctl/${1##*/}"
	mount --bind "/run/sysctl/${1##*/}" "/proc/sys/$1"
}
shown vm/overcommit_memory 1
shown vm/panic_on_oom 0
shown kernel/panic 10
shown kernel/panic_on_oops 1
mount --make-rshared /
ip link set lo up
touch /run/ready
trap 'exit 0' TERM INT
while :; do
	sleep 3600 &
	wait $! || true
done
