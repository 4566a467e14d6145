#!/usr/bin/env bash
# e2e.sh FOCUS [SKIP] [FLAGS of e2e.test...]: Kubernetes' own tests against the cluster, $PROCS at once (default 4). Writes
# e2e.log and report.json to $OUT, or to a new folder in $KUBERNETES_CACHE/run/e2e.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
focus=$1 skip=${2:-}
shift $(($# < 2 ? $# : 2))
out=${OUT:-$run/e2e/$(date +%H%M%S)}
mkdir -p "$out"
cd "$out"
status=0
nsenter -t "$(init_of cp)" -n "$programs/ginkgo" --procs="${PROCS:-4}" --no-color --timeout="${TIMEOUT:-2h}" --output-dir="$out" --json-report=report.json \
	--focus="$focus" ${skip:+--skip="$skip"} "$programs/e2e.test" -- --kubeconfig="$KUBECONFIG" --kubectl-path="$programs/kubectl" --provider=skeleton --num-nodes="$NODES" \
	--node-os-distro=debian --delete-namespace-on-failure=true "$@" >"$out/e2e.log" 2>&1 || status=$?
echo "$out"
exit $status
