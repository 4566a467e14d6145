#!/bin/sh
# Makes a fresh Debian 12, Debian 13 or Ubuntu 24.04 ready for Sluice: checks the machine, installs what is missing, builds.
# Says nothing when there is nothing to do. Needs no terminal, may be interrupted and run again, waits for a concurrent run.
#
#   sh tools/setup.sh              the machine for the lab and the kernel tests (root)
#   sh tools/setup.sh --tests      the same, and the programs that tests hold our answers against
#   sh tools/setup.sh --bench      the same, and the peers that the benchmark measures beside us
#   sh tools/setup.sh --kernels    what --tests does, and what boots other kernels in an emulated machine
#   sh tools/setup.sh --packages   only what `npm run check` needs (no root once the Debian packages are there)
set -eu

cd "$(dirname "$(readlink -f "$0")")/.."

mode=all
case "${1-}" in
'') ;;
--packages) mode=packages ;;
--tests) mode=tests ;;
--bench) mode=bench ;;
--kernels) mode=kernels ;;
*)
	echo "setup: unknown option $1; use no option, --tests, --bench, --kernels or --packages" >&2
	exit 2
	;;
esac

node_floor=20
compile_packages="clang-19 libbpf-dev linux-libc-dev libc6-dev"
# Node.js from npm needs it, and installing the other packages already runs that Node.js.
compile_packages="$compile_packages libatomic1"
check_packages="clang-format-19"
lab_packages="iproute2"
test_packages="iptables nftables"
bench_packages="containernetworking-plugins"
kernel_packages="qemu-system-x86 busybox-static xz-utils zstd"
case "$mode" in
tests) lab_packages="$lab_packages $test_packages" ;;
bench) lab_packages="$lab_packages $test_packages $bench_packages" ;;
kernels) lab_packages="$lab_packages $test_packages $kernel_packages" ;;
esac

progress() {
	echo "setup: $*"
}

problems=""
problem() {
	problems="$problems
  - $1
      $2"
}

stop_on_problems() {
	[ -z "$problems" ] && return
	{
		echo "setup: this machine is not ready for Sluice:$problems"
		[ "$mode" = packages ] || echo "  What needs no kernel runs anyway: npm run check"
	} >&2
	exit 1
}

version_below() { # version_below 6.1.0-13-amd64 6 6
	major=${1%%.*}
	rest=${1#*.}
	minor=${rest%%[!0-9]*}
	[ "$major" -lt "$2" ] || { [ "$major" -eq "$2" ] && [ "${minor:-0}" -lt "$3" ]; }
}

check_tools() {
	if [ "$(uname -s)" != Linux ]; then
		problem "this is $(uname -s); eBPF is a part of Linux" "use a Linux machine, a virtual one will do"
		return
	fi
	if ! command -v node >/dev/null; then
		problem "Node.js is missing" "install Node.js >= $node_floor (https://nodejs.org/en/download) with npm"
	else
		node_version=$(node --version)
		node_version=${node_version#v}
		if [ "${node_version%%.*}" -lt "$node_floor" ]; then
			problem "Node.js is $node_version, needed is >= $node_floor" "install a newer one (https://nodejs.org/en/download)"
		fi
	fi
	command -v npm >/dev/null || problem "npm is missing" "install it with Node.js, or: apt-get install npm"
}

# What would make all that follows vain. Whether the kernel and the machine have the rest is told by "sluice doctor", which
# the lab and the tests run first.
check_kernel() {
	[ "$(uname -s)" = Linux ] || return 0
	[ "$(id -u)" -eq 0 ] || problem "you are not root" "run it as root (sudo npm run lab): BPF programs and network namespaces need it"
	if version_below "$(uname -r)" 6 6; then
		problem "the kernel is $(uname -r), needed is >= 6.6 (TCX links)" \
			"boot a newer one; Debian 12: apt-get install -t bookworm-backports linux-image-amd64"
	fi
	if [ "$(id -u)" -eq 0 ] && ! unshare --net true 2>/dev/null; then
		problem "root may not make network namespaces here" "leave the container, or give it all privileges (CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_BPF)"
	fi
}

missing_packages() { # prints those of its arguments that are not installed
	# The status format starts with "ii" where a package is whole; one without architecture suffix matches any.
	installed=$(dpkg-query --show --showformat '${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null | sed -n 's/^ii *//p')
	for package in "$@"; do
		case "
$installed
" in
		*"
$package
"*) ;;
		*) printf ' %s' "$package" ;;
		esac
	done
}

check_packages_can_be_had() {
	[ -z "$missing" ] && return
	if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
		problem "these programs are missing:$missing" "install them by your distribution's means; this script knows apt (Debian 12, 13, Ubuntu 24.04)"
	elif [ "$(id -u)" -ne 0 ]; then
		problem "Debian packages are missing:$missing" "as root: apt-get install$missing"
	fi
}

install_packages() {
	[ -z "$missing" ] && return
	log=.cache/setup-apt.log
	progress "installing Debian packages:$missing"
	if ! {
		apt-get update --quiet
		# shellcheck disable=SC2086 # a list of words
		DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends \
			-o DPkg::Lock::Timeout=300 $missing
	} >"$log" 2>&1 </dev/null; then
		tail -n 5 "$log" >&2
		echo "setup: apt-get could not install$missing (whole output: $PWD/$log)" >&2
		echo "  Debian 12 and 13 and Ubuntu 24.04 have them; is the network there, are the sources in /etc/apt complete?" >&2
		exit 1
	fi
}

npm_stamp=node_modules/.sluice-stamp
npm_wanted() {
	sha256sum package-lock.json
}

npm_is_current() {
	[ -r $npm_stamp ] && [ "$(cat $npm_stamp)" = "$(npm_wanted)" ]
}

install_npm() {
	npm_is_current && return
	log=.cache/setup-npm.log
	progress "installing npm packages (package-lock.json is new or has changed)"
	if ! npm ci --no-fund --no-audit --no-progress >"$log" 2>&1 </dev/null; then
		tail -n 15 "$log" >&2
		echo "setup: npm ci failed (whole output: $PWD/$log)" >&2
		exit 1
	fi
	# npm 9 (Debian 13) removes this link again together with the optional package of the other architecture.
	for node in node_modules/node-linux-*/bin/node; do ln -sf "../${node#node_modules/}" node_modules/.bin/node; done
	# Biome's packages for one machine each have no command of their own: that is in one which wants those of all machines.
	for biome in node_modules/@biomejs/cli-linux-*/biome; do ln -sf "../${biome#node_modules/}" node_modules/.bin/biome; done
	# npm links the commands of dependencies, not the package's own: so that "npx sluice" needs no detour.
	ln -sf ../../bin/sluice node_modules/.bin/sluice
	npm_wanted >$npm_stamp
}

build_stamp=dist/.built
build_is_current() {
	[ -e $build_stamp ] &&
		[ -z "$(find packages lab bpf bench/c tools package.json package-lock.json \
			-path '*/node_modules' -prune -o -path bpf/build -prune -o -newer $build_stamp -print -quit 2>/dev/null)" ]
}

build() {
	build_is_current && return
	# What changes while we build is newer than the stamp and is built next time.
	mkdir -p dist
	touch dist/.building
	node_modules/.bin/node tools/build.ts
	mv dist/.building $build_stamp
}

check_tools
[ $mode = packages ] || check_kernel
if [ $mode = packages ]; then
	missing=$(missing_packages $compile_packages $check_packages)
else
	missing=$(missing_packages $compile_packages $check_packages $lab_packages)
fi
check_packages_can_be_had
stop_on_problems

if [ -z "$missing" ] && npm_is_current && { [ $mode = packages ] || build_is_current; }; then
	exit 0
fi

mkdir -p .cache
exec 9>.cache/setup.lock
if ! flock --nonblock 9; then
	progress "another set-up is running, waiting for it"
	flock 9
	missing=$(missing_packages $compile_packages $check_packages $lab_packages)
fi
install_packages
install_npm
[ $mode = packages ] || build
