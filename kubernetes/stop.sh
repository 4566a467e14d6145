#!/usr/bin/env bash
# stop.sh MACHINE COMPONENT [SIGNAL]: ends what start.sh has started (with TERM, if not told otherwise), and waits for its end.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
machine=$1 component=$2 file=$run/$1/$2.pid
process=$(cat "$file")
# A process id may have gone to somebody else.
runs() { on "$machine" grep -qaF "$component" "/proc/$process/cmdline"; }
runs || { echo "stop: $component does not run on $machine (log: $run/$machine/$component.log)" >&2; exit 1; }
on "$machine" kill -s "${3:-TERM}" "$process"
# Not when its command line is gone, for its sockets are closed later: whoever comes next would find its port taken.
ended() {
	local state
	state=$(on "$machine" sed 's/.*) //; s/ .*//' "/proc/$process/stat" 2>/dev/null) || return 0
	[ "$state" = Z ]
}
wait_for 60 "$component on $machine ends" ended
rm -f "$file"
