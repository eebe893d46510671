#!/usr/bin/env bash
# Builds the Go program in FOLDER once, into a cache folder that is keyed by its sources; prints the program's path.
#
#   build.sh FOLDER [LDFLAGS]
set -euo pipefail
ldflags="-s -w ${2:-}"
cd "$1"

if ! command -v go >/dev/null 2>&1; then
    echo "the oracle is built with Go 1.26 or later, and there is no 'go' on the PATH: see https://go.dev/doc/install" >&2
    exit 1
fi
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-mod=readonly

# The folder is the tests/oracle of a crate, whose name tells the programs apart.
name=$(basename "$(cd ../.. && pwd)")
key=$({ cat go.mod go.sum ./*.go; echo "$ldflags"; go version; uname -m; } | sha256sum | cut -c1-16)
bin="${TRUEUP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trueup}/oracles/$name-$key"
if [[ ! -x "$bin" ]]; then
    mkdir -p "${bin%/*}"
    partial=$(mktemp "$bin.XXXXXX")
    go build -trimpath -ldflags "$ldflags" -o "$partial" . >&2
    mv "$partial" "$bin"
fi
echo "$bin"
