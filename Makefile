# What people run. CI runs the same: see .ci/run.
#
#   make demo                 the play of `trueup demo`, on a real control plane
#   make demo CONTEXT=kind    the same in a cluster of yours, reached by that context of your kubeconfig
#   make demo-fleet           a hub, three leaf clusters and two replicas on this machine: a rollout, a kill, a cluster cut off
#   make test                 all tests, on a control plane that is built once
#   make test-long            what takes minutes: the fleet, and replicas killed at random; KILLS is for how many seconds, SEED what happens
#   make fuzz                random kustomizations against the real kustomize; SEED and TREES say where to begin and how many
#   make fuzz-templates       random charts against the real Helm; SEED and TEMPLATES say where to begin and how many
#   make fuzz-charts          random charts within charts against the real Helm; SEED and CHARTS say where to begin and how many
#   make fuzz-bytes          damaged bytes against panics, hangs and growth; SEED says where to begin, MINUTES how long
#   make fuzz-sandbox         random sequences of operations in the sandbox and on the real API server; SEED and SEQUENCES
#   make sim                  the whole loop in a world that follows from a seed; SEED, SEEDS, STEPS and THREADS
#   make sim-bugs             the same with deliberate mistakes, each of which has to be found; SEED and SEEDS
#   make prove               "nothing to do" against the server's dry runs; SEED and COMPARISONS, 50000 take a quarter of an hour
#   make lint                 formatting, clippy, documentation, licences
#   make bench                writes docs/benchmarks.md, in half an hour
#   make bench-render         rendering beside kustomize's own: writes docs/benchmarks-render.md
#   make bench-helm           charts beside Helm's own: writes docs/benchmarks-helm.md
#   make bench-fleet          500 clusters on real API servers: writes docs/fleet.md
#   make bench-scale          1,000 clusters in one process: writes docs/scale.md

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: demo demo-fleet test test-long fuzz fuzz-templates fuzz-charts fuzz-bytes fuzz-sandbox sim sim-bugs prove lint bench bench-render bench-helm bench-fleet bench-scale setup control-plane

SEED ?= 0
TREES ?= 10000
TEMPLATES ?= 20000
CHARTS ?= 10000
MINUTES ?= 10
COMPARISONS ?= 50000
SEQUENCES ?= 20000
SEEDS ?= 1000
KILLS ?= 600
STEPS ?= 200
THREADS ?= 1

CONTEXT ?=
CARGO ?= cargo

demo:
	@CONTEXT="$(CONTEXT)" scripts/demo.sh

demo-fleet:
	@scripts/demo-fleet.sh

setup:
	@scripts/setup.sh

# Tests that are given a cluster need none built.
control-plane:
	@[[ -n "$${TRUEUP_TEST_KUBECONFIG:-}" ]] || tests/cluster/build.sh

test: setup control-plane
	$(CARGO) test --workspace --locked --no-fail-fast

test-long: setup control-plane demo-fleet
	TRUEUP_KILLS_SECONDS=$(KILLS) TRUEUP_KILLS_SEED=$(SEED) $(CARGO) test --locked --test it random_kills -- --ignored --nocapture

fuzz: setup
	TRUEUP_FUZZ_SEED=$(SEED) TRUEUP_FUZZ_TREES=$(TREES) $(CARGO) test --locked --profile fuzz -p trueup-kustomize --test differential -- --nocapture

fuzz-templates:
	TRUEUP_FUZZ_SEED=$(SEED) TRUEUP_FUZZ_TEMPLATES=$(TEMPLATES) $(CARGO) test --locked --profile fuzz -p trueup-helm --test differential random_templates -- --nocapture

fuzz-charts:
	TRUEUP_FUZZ_SEED=$(SEED) TRUEUP_FUZZ_CHARTS=$(CHARTS) $(CARGO) test --locked --profile fuzz -p trueup-helm --test differential within_charts -- --nocapture

fuzz-bytes:
	TRUEUP_BYTES_SEED=$(SEED) TRUEUP_BYTES_MINUTES=$(MINUTES) $(CARGO) test --locked --profile fuzz -p trueup-kustomize --test bytes -- --nocapture

fuzz-sandbox: control-plane
	TRUEUP_FUZZ_SEED=$(SEED) TRUEUP_FUZZ_SEQUENCES=$(SEQUENCES) $(CARGO) test --locked -p trueup-sandbox --test differential -- --nocapture random_sequences

sim: setup
	TRUEUP_SIM_SEED=$(SEED) TRUEUP_SIM_SEEDS=$(SEEDS) TRUEUP_SIM_STEPS=$(STEPS) TRUEUP_SIM_THREADS=$(THREADS) $(CARGO) test --profile sim --locked --test sim -- --nocapture whatever_happens

sim-bugs: setup
	SEED=$(SEED) SEEDS=$(SEEDS) STEPS=$(STEPS) THREADS=$(THREADS) scripts/sim-bugs.sh

prove: control-plane
	TRUEUP_PROOF_SEED=$(SEED) TRUEUP_PROOF=$(COMPARISONS) $(CARGO) test --release --locked --test it proof:: -- --nocapture

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy --features heap --bench scale --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	scripts/deny.sh

bench: control-plane
	$(CARGO) bench --locked --bench reconcile -- --all --write

bench-render:
	$(CARGO) bench --locked --bench render -- --write

bench-helm:
	$(CARGO) bench --locked --bench helm -- --write

bench-fleet: control-plane
	$(CARGO) bench --locked --bench fleet -- --write

bench-scale:
	$(CARGO) bench --locked --features heap --bench scale -- --write
