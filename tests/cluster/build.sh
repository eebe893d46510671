#!/usr/bin/env bash
# Builds the control plane (etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok) from Go modules, once, into a
# cache folder that is keyed by everything that goes into the binaries; prints that folder. A key that does not match is never
# used, and a build that was interrupted leaves nothing behind that looks complete.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

kubernetes_version=v1.36.3
kwok_version=v0.8.0
components=(etcd kube-apiserver kube-controller-manager kube-scheduler)

if ! command -v go >/dev/null 2>&1; then
    echo "the control plane is built with Go 1.26 or later, and there is no 'go' on the PATH: see https://go.dev/doc/install" >&2
    exit 1
fi
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-mod=mod

key=$({ cat go.mod go.sum build.sh cmd/*/main.go; go version; uname -m; } | sha256sum | cut -c1-16)
cache="${TRUEUP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trueup}/control-plane"
bin="$cache/$key"
if [[ -d "$bin" ]]; then
    echo "$bin"
    exit 0
fi

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [[ -d "$bin" ]]; then
    echo "$bin"
    exit 0
fi

echo "building the control plane once, into $bin; on two cores this takes about ten minutes" >&2
partial="$cache/partial"
rm -rf "$partial"
mkdir -p "$partial"
minor=${kubernetes_version#v1.}
minor=${minor%%.*}
version=k8s.io/component-base/version
ldflags="-s -w -X $version.gitVersion=$kubernetes_version -X $version.gitMajor=1 -X $version.gitMinor=$minor"
GOFLAGS=-mod=readonly go build -trimpath -ldflags "$ldflags" -o "$partial/" "${components[@]/#/./cmd/}" >&2
(cd /; GOFLAGS=-mod=mod GOBIN="$partial" go install -trimpath -ldflags '-s -w' "sigs.k8s.io/kwok/cmd/kwok@$kwok_version") >&2
mv "$partial" "$bin"
echo "$bin"
