#!/usr/bin/env bash
# certificates.sh [NODE...]: the cluster's keys, certificates and kubeconfigs in $run/pki; or only those of further nodes.
set -euo pipefail
. "$(dirname "$0")/../settings.sh"
mkdir -p "$pki"
cd "$pki"

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null; }
authority() {
	key "$1"
	openssl req -x509 -new -key "$1.key" -days 3650 -subj "/CN=$2" -out "$1.crt" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature
}
certificate() { # certificate NAME SUBJECT USAGE AUTHORITY [ALTERNATIVE_NAMES]
	key "$1"
	openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
	printf 'keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=%s\n' "$3" >"$1.ext"
	[ -z "${5:-}" ] || printf 'subjectAltName=%s\n' "$5" >>"$1.ext"
	openssl x509 -req -in "$1.csr" -CA "$4.crt" -CAkey "$4.key" -CAcreateserial -days 3650 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
	rm "$1.csr" "$1.ext"
}
kubeconfig() {
	cat >"$1.kubeconfig" <<K
apiVersion: v1
kind: Config
current-context: sluice
clusters: [{name: sluice, cluster: {server: "https://$api_address:6443", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: me, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: sluice, context: {cluster: sluice, user: me}}]
K
}

nodes() { # nodes NAME...
	local name
	for name; do certificate "$name" "/O=system:nodes/CN=system:node:$name" clientAuth ca; kubeconfig "$name"; done
}

[ $# -eq 0 ] || { nodes "$@"; exit; }
authority ca sluice-test-ca
authority front-proxy-ca sluice-test-front-proxy-ca
key sa
openssl ec -in sa.key -pubout -out sa.pub 2>/dev/null
names="DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost"
certificate apiserver /CN=kube-apiserver serverAuth ca "$names,IP:127.0.0.1,IP:$api_address,IP:10.96.0.1,IP:fd00:10:96::1"
certificate apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth ca
certificate front-proxy /CN=front-proxy-client clientAuth front-proxy-ca
certificate admin /O=system:masters/CN=admin clientAuth ca
for name in kube-controller-manager kube-scheduler kube-proxy; do certificate "$name" "/CN=system:$name" clientAuth ca; done
for name in admin kube-controller-manager kube-scheduler kube-proxy; do kubeconfig "$name"; done
# shellcheck disable=SC2046 # words
nodes $(node_names)
