#!/usr/bin/env bash
# module-of-version.sh DIRECTORY: the module of modules/kubernetes for $KUBERNETES_VERSION. Kubernetes' own go.mod names its
# staging modules at v0.0.0, which only its workspace resolves; whoever requires it must replace each by v0.MINOR.PATCH.
set -euo pipefail
. "$(dirname "$0")/../settings.sh"
mkdir -p "$1"
rm -rf "${1:?}/kubeall" "$1/go.sum"
cp -r "$recipe/modules/kubernetes/kubeall" "$1/"
cd "$1"
printf 'module sluice.test/kubernetes\n\ngo 1.26\n' >go.mod
theirs=$(go mod download -json "k8s.io/kubernetes@$KUBERNETES_VERSION" | sed -n 's/.*"GoMod": "\(.*\)",*/\1/p')
{
	printf 'module sluice.test/kubernetes\n\n'
	grep -E '^(go|godebug) ' "$theirs"
	printf '\nrequire k8s.io/kubernetes %s\n\nreplace (\n' "$KUBERNETES_VERSION"
	grep -oE '^\s+k8s\.io/[a-z0-9-]+ v0\.0\.0( |$)' "$theirs" | awk -v version="v0.${KUBERNETES_VERSION#v1.}" '{print "\t" $1 " => " $1 " " version}'
	printf ')\n'
} >go.mod
