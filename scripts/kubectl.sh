#!/usr/bin/env bash
# Prints the path of the kubectl that tests use: the machine's own, or else one that is built once from its Go module, in the
# version of the control plane, into trueup's cache folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../tests/cluster"

if command -v kubectl; then
    exit 0
fi
version=$(sed -n 's/^kubernetes_version=//p' build.sh)
tools="${TRUEUP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trueup}/tools/kubectl-$version"
if [[ ! -x "$tools/kubectl" ]]; then
    echo "building kubectl $version once, into $tools" >&2
    mkdir -p "$tools"
    partial=$(mktemp "$tools/kubectl.XXXXXX")
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" \
        -o "$partial" k8s.io/kubernetes/cmd/kubectl >&2
    chmod +x "$partial"
    mv "$partial" "$tools/kubectl"
fi
echo "$tools/kubectl"
