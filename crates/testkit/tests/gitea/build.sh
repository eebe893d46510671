#!/usr/bin/env bash
# Builds Gitea from its Go module, once, into a cache folder that is keyed by this script and the compiler; prints that folder, in
# which the program stands beside the files that it reads as it runs. Its own list of versions holds, with what that list replaces.
set -euo pipefail

module=code.gitea.io/gitea@v1.24.6
sum=h1:BrHATK2cfr/hkJc8cc2W/1lWTVhyCxa1NQMHvEVeLWM=

if ! command -v go >/dev/null 2>&1 || ! command -v gcc >/dev/null 2>&1; then
    echo "Gitea is built with Go 1.26 or later (https://go.dev/doc/install) and a C compiler (apt-get install gcc)" >&2
    exit 1
fi
export GOTOOLCHAIN=local CGO_ENABLED=1 GOFLAGS=-mod=readonly

key=$({ cat "$0"; go version; uname -m; } | sha256sum | cut -c1-16)
cache="${TRUEUP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trueup}/gitea"
folder="$cache/$key"
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [[ -d "$folder" ]]; then
    echo "$folder"
    exit 0
fi

echo "building Gitea once, into $folder; on two cores this takes about five minutes" >&2
partial="$cache/partial"
rm -rf "$partial"
mkdir -p "$partial/served"
told=$(cd / && GOFLAGS=-mod=mod go mod download -json "$module")
field() { sed -n "s/^\t\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" <<<"$told"; }
if [[ "$(field Sum)" != "$sum" ]]; then
    echo "$module is not what it was: its sum is $(field Sum), not $sum" >&2
    exit 1
fi
cp -R "$(field Dir)" "$partial/source"
chmod -R u+w "$partial/source"
(cd "$partial/source" && go build -trimpath -ldflags '-s -w' -tags 'sqlite sqlite_unlock_notify' -o "$partial/served/gitea" .) >&2
mv "$partial/source/"{options,public,templates} "$partial/served/"
mv "$partial/served" "$folder"
rm -rf "$partial"
echo "$folder"
