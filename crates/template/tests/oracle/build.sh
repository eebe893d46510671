#!/usr/bin/env bash
# Builds the oracle once, into a cache folder that is keyed by its sources; prints the program's path.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if ! command -v go >/dev/null 2>&1; then
    echo "the oracle is built with Go 1.26 or later, and there is no 'go' on the PATH: see https://go.dev/doc/install" >&2
    exit 1
fi
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-mod=readonly

key=$({ cat go.mod go.sum main.go; go version; uname -m; } | sha256sum | cut -c1-16)
bin="${TRUEUP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trueup}/oracles/template-$key"
if [[ ! -x "$bin" ]]; then
    mkdir -p "${bin%/*}"
    partial=$(mktemp "$bin.XXXXXX")
    go build -trimpath -ldflags '-s -w' -o "$partial" . >&2
    mv "$partial" "$bin"
fi
echo "$bin"
