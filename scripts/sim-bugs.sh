#!/usr/bin/env bash
# Builds the simulation with the deliberate mistakes of tests/sim/bugs.patch, and runs it with each of them until it finds it.
# BUG names some of them; SEED, SEEDS, STEPS and THREADS are as for `make sim`; PROFILE is cargo's, `sim` unless another is said.
# Prints a line each: the mistake, how many seeds it took, and what was seen. Ends with 1 where one was not found.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# Always in the same place, so that what did not change is not built again.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}"
copy="$CARGO_TARGET_DIR/sim-bugs"
rm -rf "$copy"
mkdir -p "$copy"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --preserve=timestamps -t "$copy" --
patch --quiet --directory="$copy" --strip=1 --no-backup-if-mismatch <tests/sim/bugs.patch

build=$(cd "$copy" && "${CARGO:-cargo}" test --profile "${PROFILE:-sim}" ${PACKAGES:---package trueup} --locked --no-run --test sim --message-format=json)
program=$(grep -o '"executable":"[^"]*/sim-[^"]*"' <<<"$build" | tail -1 | cut -d'"' -f4)

first=${SEED:-0} missed=0
for bug in ${BUG:-$(grep -oE 'bug\("[a-z-]+"\)' tests/sim/bugs.patch | cut -d'"' -f2 | sort -u)}; do
    began=$SECONDS
    if said=$(TRUEUP_BUG=$bug TRUEUP_SIM_SEED=$first TRUEUP_SIM_SEEDS=${SEEDS:-10000} TRUEUP_SIM_STEPS=${STEPS:-200} \
        TRUEUP_SIM_THREADS=${THREADS:-1} TRUEUP_SIM_FAILURES=1 TRUEUP_SIM_TRACE=0 "$program" --nocapture whatever_happens 2>&1); then
        echo "$bug: NOT FOUND in ${SEEDS:-10000} seeds, $((SECONDS - began)) s"
        missed=$((missed + 1))
    else
        found=$(grep -m1 '^seed ' <<<"$said" || tail -1 <<<"$said")
        seed=$(grep -oE '^seed [0-9]+' <<<"$found" | cut -d' ' -f2 || true)
        echo "$bug: ${seed:+$((seed - first + 1)) seeds, }$((SECONDS - began)) s, ${found:0:160}"
    fi
done
exit $((missed > 0))
