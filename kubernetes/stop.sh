#!/usr/bin/env bash
# stop.sh MACHINE COMPONENT [SIGNAL]: ends what start.sh has started (with TERM, if not told otherwise), and waits for its end.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
file=$run/$1/$2.pid
process=$(cat "$file")
# A process id may have gone to somebody else: ours is inside the machine.
if [ "$(readlink "/proc/$process/ns/pid" 2>/dev/null)" = "$(readlink "/proc/$(init_of "$1")/ns/pid")" ]; then
	kill -s "${3:-TERM}" "$process"
	ended() { ! kill -0 "$process"; }
	wait_for 30 "$2 on $1 ends" ended
fi
rm -f "$file"
