#!/usr/bin/env bash
# Prints the path of the Helm that installs the chart in tests; builds it once from its Go module into trueup's cache folder.
set -euo pipefail

version=4.3.1
tools="${TRUEUP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trueup}/tools/helm-$version"

if [[ ! -x "$tools/helm" ]]; then
    echo "building Helm $version once, into $tools" >&2
    building=$(mktemp -d)
    trap 'rm -rf "$building"' EXIT
    # Without the version of its own Helm cannot tell whether a chart is for it.
    CGO_ENABLED=0 GOBIN="$building" go install -trimpath -ldflags \
        "-s -w -X helm.sh/helm/v4/internal/version.version=v$version" "helm.sh/helm/v4/cmd/helm@v$version" >&2
    mkdir -p "$tools"
    mv "$building/helm" "$tools/helm"
fi
echo "$tools/helm"
