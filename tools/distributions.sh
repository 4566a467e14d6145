#!/bin/sh
# Types the README's commands on fresh distributions: a minimal one is unpacked (debootstrap), this commit is cloned into
# it, and there `npm run lab`, `sluice lab down` and `npm test` run as a person would type them. Kernel and network are
# this machine's; files, mounts and cgroups are its own and vanish with it. Needs root, debootstrap, overlayfs.
#
#   npm run test:distributions                        Debian 12 and 13, from where this machine has its packages
#   npm run test:distributions -- trixie              one of them
#   MIRROR=http://archive.ubuntu.com/ubuntu npm run test:distributions -- noble
#   COMMANDS="npm run lab" npm run test:distributions only that
#
# Where the distribution's own Node.js is too old, that must be said; then this machine's takes its place.
set -eu

root=$(dirname "$(dirname "$(readlink -f "$0")")")
folder=${FOLDER:-/var/tmp/sluice-distributions}
commands=${COMMANDS:-npm run lab && npx sluice lab status && npx sluice lab down && npm test}

fail() {
	echo "distributions: $*" >&2
	exit 1
}

# The unpacked distribution; made once, and never written to afterwards.
unpack() {
	base=$folder/$1.base
	[ -e "$base/.whole" ] && return
	command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
	mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -n 1)}
	[ -n "$mirror" ] || fail "this machine's apt has no Debian: say from where with MIRROR=http://..."
	rm -rf "$base"
	mkdir -p "$base"
	echo "distributions: unpacking $1, log in $folder/$1.log"
	# Ubuntu's releases have one script between them, and what a release gains after its day is in a suite of its own.
	case $mirror in
	*/ubuntu*)
		keys=/usr/share/keyrings/ubuntu-archive-keyring.gpg
		[ -e "$keys" ] || fail "$keys is missing: it is in the package ubuntu-keyring of Ubuntu"
		set -- "$1" --components=main,universe --keyring="$keys"
		;;
	*) set -- "$1" ;;
	esac
	suite=$1
	shift
	script=/usr/share/debootstrap/scripts/$suite
	[ -e "$script" ] || script=/usr/share/debootstrap/scripts/gutsy
	debootstrap --variant=minbase --include=ca-certificates "$@" "$suite" "$base" "$mirror" "$script" \
		>"$folder/$suite.log" 2>&1 || fail "debootstrap of $suite failed: see $folder/$suite.log"
	case $mirror in
	*/ubuntu*) echo "deb $mirror $suite-updates main universe" >>"$base/etc/apt/sources.list" ;;
	esac
	touch "$base/.whole"
}

# A machine's root and its mounts, in namespaces of their own: they go with the last process.
inside() {
	suite=$1 machine=$2
	mkdir "$machine/written" "$machine/work" "$machine/root"
	mount -t overlay overlay -o "lowerdir=$folder/$suite.base,upperdir=$machine/written,workdir=$machine/work" "$machine/root"
	git clone --quiet --no-hardlinks "$root" "$machine/root/root/sluice"
	cp /etc/resolv.conf /etc/hosts "$machine/root/etc/"
	registry=$(npm config get registry)
	cd "$machine/root"
	# Whose word this machine takes for where its npm gets packages.
	cp /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/
	mount --rbind /dev dev
	mount -t proc proc proc
	mount -t sysfs sysfs sys
	# As systemd mounts it: version 2 alone.
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	mount -t bpf bpf sys/fs/bpf
	mount -t tmpfs tmpfs run
	mount -t tmpfs tmpfs tmp
	cp "$root/tools/distributions.sh" run/
	copy_node run/node
	# Not chroot: who enters a mount namespace of the lab would leave it again.
	pivot_root . mnt
	umount --lazy /mnt
	cd /
	exec env --ignore-environment HOME=/root TERM=dumb PATH=/usr/sbin:/usr/bin:/sbin:/bin COMMANDS="$commands" \
		npm_config_registry="$registry" NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
		DEBIAN_FRONTEND=noninteractive sh /run/distributions.sh --typed
}

# This machine's, for distributions whose own is too old: not the project's, which npm puts before it.
copy_node() {
	mkdir -p "$1/bin" "$1/lib/node_modules"
	cp "$(readlink -f "$(PATH=$(echo "$PATH" | sed 's,[^:]*/node_modules/.bin:,,g') && command -v node)")" "$1/bin/node"
	cp -a "$(npm root --global)/npm" "$1/lib/node_modules/"
	for name in npm npx; do ln -s "../lib/node_modules/npm/bin/$name-cli.js" "$1/bin/$name"; done
}

says() { # says "text" command...
	wanted=$1
	shift
	if said=$("$@" 2>&1); then fail "$* went well on a machine that is not ready"; fi
	echo "$said"
	case $said in *"$wanted"*) ;; *) fail "$* does not say: $wanted" ;; esac
}

# What a person types on the fresh machine.
typed() {
	cd /root/sluice
	echo "== $(. /etc/os-release && echo "$PRETTY_NAME"), without Node.js"
	says "Node.js is missing" sh tools/setup.sh
	echo "== with the distribution's Node.js"
	apt-get update -qq
	apt-get install -qq --no-install-recommends nodejs npm git >/run/apt.log 2>&1 ||
		{ tail -n 5 /run/apt.log; fail "nodejs and npm of the distribution cannot be installed"; }
	echo "Node.js $(node --version), npm $(npm --version)"
	if [ "$(node --print 'process.versions.node.split(".")[0]')" -lt 20 ]; then
		says "needed is >= 20" npm run lab
		PATH=/run/node/bin:$PATH
		export PATH
		echo "== with Node.js $(node --version), npm $(npm --version)"
	fi
	echo "== $COMMANDS"
	sh -c "$COMMANDS"
}

if [ "${1-}" = --typed ]; then
	typed
	exit
elif [ "${1-}" = --inside ]; then
	inside "$2" "$3"
	exit
fi

# Also what runs on in the background there.
remove() {
	echo 1 >"$1/cgroup.kill"
	while grep -q 'populated 1' "$1/cgroup.events"; do sleep 0.1; done
	find "$1" -depth -type d -exec rmdir {} +
	rm -rf "$2"
}

trap 'exit 130' INT TERM
[ "$(id -u)" -eq 0 ] || fail "needs root"
[ $# -gt 0 ] || set -- bookworm trixie
mkdir -p "$folder"
for suite in "$@"; do
	unpack "$suite"
	cgroup=$(sed -n 's/.* \(\/[^ ]*\) .* - cgroup2 .*/\1/p' /proc/self/mountinfo | head -n 1)/sluice-distributions-$suite
	mkdir -p "$cgroup"
	machine=$(mktemp -d "$folder/$suite.XXXXXX")
	trap 'remove "$cgroup" "$machine"' EXIT
	status=0
	sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' sh "$cgroup" \
		unshare --mount --propagation private --cgroup \
		sh "$root/tools/distributions.sh" --inside "$suite" "$machine" || status=$?
	remove "$cgroup" "$machine"
	trap - EXIT
	[ $status -eq 0 ] || fail "$suite: failed with status $status"
	echo "distributions: $suite: all good"
done
