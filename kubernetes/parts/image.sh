#!/usr/bin/env bash
# image.sh OUT.tar ROOT ENTRYPOINT_JSON COMMAND_JSON USER NAME:TAG...: packs a folder as an OCI image of one layer under these
# names, as `ctr images import` takes it. No registry and no container engine is asked.
set -euo pipefail
out=$(realpath -m "$1") root=$2 entrypoint=$3 command=$4 user=$5
shift 5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
blobs=$work/blobs/sha256
mkdir -p "$blobs"
architecture=$(dpkg --print-architecture)

blob() { # prints "DIGEST SIZE" of a file that becomes a blob
	local digest size
	digest=$(sha256sum "$1" | cut -d' ' -f1) size=$(stat -c %s "$1")
	mv "$1" "$blobs/$digest"
	echo "$digest $size"
}
described() { printf '"mediaType":"%s","digest":"sha256:%s","size":%s' "$1" "$2" "$3"; }

oci=application/vnd.oci.image
tar -C "$root" --numeric-owner --owner=0 --group=0 --sort=name --mtime=@0 -cf "$work/layer" .
read -r layer layer_size < <(blob "$work/layer")
printf '{"architecture":"%s","os":"linux","config":{"User":"%s","Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Entrypoint":%s,"Cmd":%s,"WorkingDir":"/"},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
	"$architecture" "$user" "$entrypoint" "$command" "$layer" >"$work/config"
read -r config config_size < <(blob "$work/config")
printf '{"schemaVersion":2,"mediaType":"%s.manifest.v1+json","config":{%s},"layers":[{%s}]}' "$oci" \
	"$(described $oci.config.v1+json "$config" "$config_size")" "$(described $oci.layer.v1.tar "$layer" "$layer_size")" >"$work/manifest"
read -r manifest manifest_size < <(blob "$work/manifest")

entries=
for name in "$@"; do
	entries+=${entries:+,}$(printf '{%s,"platform":{"architecture":"%s","os":"linux"},"annotations":{"io.containerd.image.name":"%s","org.opencontainers.image.ref.name":"%s"}}' \
		"$(described $oci.manifest.v1+json "$manifest" "$manifest_size")" "$architecture" "$name" "${name##*:}")
done
printf '{"schemaVersion":2,"mediaType":"%s.index.v1+json","manifests":[%s]}' "$oci" "$entries" >"$work/index.json"
printf '{"imageLayoutVersion":"1.0.0"}' >"$work/oci-layout"
tar -C "$work" -cf "$out.new" oci-layout index.json blobs
mv "$out.new" "$out"
