#!/usr/bin/env bash
# Builds the simulation with the deliberate mistakes of tests/sim/bugs.patch, and runs it once with each of them until it finds it.
# BUG names one of them; SEED, SEEDS and STEPS are as for `make sim`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy" --
git -C "$copy" init --quiet
git -C "$copy" apply tests/sim/bugs.patch

# The dependencies are the same, so they are not built again.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}"
build=$(cd "$copy" && "${CARGO:-cargo}" test --release --locked --no-run --test sim --message-format=json)
program=$(grep -o '"executable":"[^"]*/sim-[^"]*"' <<<"$build" | tail -1 | cut -d'"' -f4)

missed=0
for bug in ${BUG:-$(grep -oE 'bug\("[a-z-]+"\)' tests/sim/bugs.patch | cut -d'"' -f2 | sort -u)}; do
    began=$SECONDS
    if said=$(TRUEUP_BUG=$bug TRUEUP_SIM_SEED=${SEED:-0} TRUEUP_SIM_SEEDS=${SEEDS:-10000} TRUEUP_SIM_STEPS=${STEPS:-200} \
        TRUEUP_SIM_FAILURES=1 "$program" --nocapture whatever_happens 2>&1); then
        echo "$bug: NOT FOUND"
        missed=$((missed + 1))
    else
        found=$(grep -m1 '^seed ' <<<"$said" || tail -1 <<<"$said")
        echo "$bug: $((SECONDS - began)) s, ${found:0:200}"
    fi
done
exit $((missed > 0))
