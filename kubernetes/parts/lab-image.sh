#!/usr/bin/env bash
# lab-image.sh: the image of the connectivity test's pods, out of the build's static programs (npm run build).
set -euo pipefail
. "$(dirname "$0")/../settings.sh"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/usr/bin "$root"/{tmp,run,proc,sys,dev,etc,root}
cp -a "$recipe"/../dist/bin/lab-pod "$root/usr/bin/"
for command in client dns echo pause resolve; do ln -s lab-pod "$root/usr/bin/$command"; done
"$recipe/parts/image.sh" "$images/lab.tar" "$root" '["/usr/bin/lab-pod","echo"]' '[]' '' docker.io/sluice-lab/echo:latest
