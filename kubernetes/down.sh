#!/usr/bin/env bash
# Takes the cluster down: kills each machine's init, with which the kernel ends everything there, and removes cgroups and files.
# KEEP=1 leaves the logs in $KUBERNETES_CACHE/run.
set -uo pipefail
. "$(dirname "$0")/settings.sh"
for file in "$run"/*/init.pid; do
	[ -e "$file" ] || continue
	process=$(cat "$file")
	# A process id may have gone to somebody else: ours names its folder.
	if tr '\0' ' ' <"/proc/$process/cmdline" 2>/dev/null | grep -qF "machine-init.sh $(basename "$(dirname "$file")") $(dirname "$file")"; then
		kill -KILL "$process"
		for _ in $(seq 100); do [ -d "/proc/$process" ] && sleep 0.1; done
	fi
	rm -f "$file"
done
for folder in /sys/fs/cgroup/*/"$CGROUP" "/sys/fs/cgroup/$CGROUP"; do
	[ -d "$folder" ] && find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null
done
[ -n "${KEEP:-}" ] || rm -rf "$run"
left=$(find /sys/fs/cgroup -maxdepth 2 -name "$CGROUP" -type d | wc -l)
[ "$left" = 0 ] || { echo "down: $left cgroups named $CGROUP are still in use" >&2; exit 1; }
