#!/usr/bin/env bash
# Checks licences, bans and sources (deny.toml) with cargo-deny, which is installed once into trueup's cache folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=0.20.2
tools="${TRUEUP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trueup}/tools/cargo-deny-$version"

if [[ ! -x "$tools/bin/cargo-deny" ]]; then
    echo "installing cargo-deny $version once, into $tools" >&2
    build=$(mktemp -d)
    trap 'rm -rf "$build"' EXIT
    # Without optimisation: it runs for a second and would take minutes more to build.
    CARGO_TARGET_DIR="$build" cargo install cargo-deny --version "$version" --locked --debug --quiet --root "$tools"
fi
"$tools/bin/cargo-deny" --locked check --hide-inclusion-graph licenses bans sources
