#!/usr/bin/env bash
# Prints the path of the kustomize that trueup is compared with; builds it once from its Go module into trueup's cache folder.
set -euo pipefail

version=5.8.2
tools="${TRUEUP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trueup}/tools/kustomize-$version"

if [[ ! -x "$tools/kustomize" ]]; then
    echo "building kustomize $version once, into $tools" >&2
    building=$(mktemp -d)
    trap 'rm -rf "$building"' EXIT
    # The tag of the module that holds the command; without it `kustomize version` does not know its own.
    GOBIN="$building" go install -ldflags "-X sigs.k8s.io/kustomize/api/provenance.version=v$version" \
        "sigs.k8s.io/kustomize/kustomize/v5@v$version" >&2
    mkdir -p "$tools"
    mv "$building/kustomize" "$tools/kustomize"
fi
echo "$tools/kustomize"
