#!/usr/bin/env bash
# The play of `trueup demo` on a real control plane: etcd, kube-apiserver and its controllers, with kwok in place of nodes.
#
#   make demo                 starts a control plane of its own, plays, and ends
#   make demo CONTEXT=name    plays in a cluster of yours; what the demo made there is deleted at the end
#   KEEP=1 make demo          stays after the play, until Ctrl-C
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

options=()
[[ -n ${KEEP:-} ]] || options+=(--once)

if [[ -n ${CONTEXT:-} ]]; then
    cargo build --locked --bin trueup
    exec "${CARGO_TARGET_DIR:-target}/debug/trueup" demo --context "$CONTEXT" ${options[@]+"${options[@]}"}
fi

tests/cluster/build.sh >/dev/null
cargo build --locked -p trueup -p trueup-testkit --bin trueup --bin control-plane
bin="${CARGO_TARGET_DIR:-target}/debug"
work=$(mktemp -d "${TMPDIR:-/tmp}/trueup-plane.XXXXXX")
# The control plane ends with its standard input, so it is gone whatever becomes of this script.
exec {stage}> >(exec "$bin/control-plane" --dir "$work" --until-eof >"$work/log" 2>&1)
trap 'exec {stage}>&-; rm -rf "$work"' EXIT
for _ in {1..600}; do
    ! grep -qx ready "$work/log" 2>/dev/null || break
    sleep 0.2
done
grep -qx ready "$work/log" || { cat "$work/log" >&2; echo "demo: the control plane did not start" >&2; exit 1; }
"$bin/trueup" demo --kubeconfig "$work/kubeconfig" ${options[@]+"${options[@]}"}
