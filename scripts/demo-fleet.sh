#!/usr/bin/env bash
# trueup over a fleet: a hub and three leaf clusters, each a real control plane, and two replicas installed by the chart's manifests.
# It shows a rollout over the fleet, a replica that is killed, a cluster that is cut off and back, in about three minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tests/cluster/build.sh >/dev/null
cargo build --locked -p trueup -p trueup-testkit --bin trueup --bin demo-fleet
bin="${CARGO_TARGET_DIR:-target}/debug"
exec "$bin/demo-fleet" --trueup "$bin/trueup" --kubectl "$(scripts/kubectl.sh)"
