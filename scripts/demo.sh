#!/usr/bin/env bash
# trueup at work: examples/gitops-repo becomes a Git repository, a real control plane becomes what it says, and stays it.
#
#   make demo                 starts a control plane of its own (etcd, kube-apiserver, controllers; kwok plays the nodes)
#   make demo CONTEXT=name    uses a cluster of yours; what the demo made there is deleted at the end
#   KEEP=1 make demo          leaves all of it running and says how to go on
#
# Everything is in a temporary folder, on free ports, and gone at the end, also after Ctrl-C. Ends with 1 as soon as
# something that it shows does not hold.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

context=${CONTEXT:-}
keep=${KEEP:-}
patience=$([[ -n $context ]] && echo 600 || echo 180)
namespaces=(shop-staging shop-production)
api_image=ghcr.io/stefanprodan/podinfo

# ---------------------------------------------------------------------------------------------------------- telling

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else bold='' dim='' green='' red='' plain=''; fi
began=$SECONDS
title() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '%s\n' "$*"; }
good() { printf '%s✓ %s%s\n' "$green" "$*" "$plain"; }
fail() {
    printf '%s✗ %s%s\n' "$red" "$*" "$plain" >&2
    if [[ -s ${work:-}/trueup.log ]]; then
        { echo "the end of trueup's log:"; tail -n 25 "$work/trueup.log"; } >&2
    fi
    exit 1
}
show() {
    printf '%s$ %s%s\n' "$dim" "$*" "$plain"
    "$@"
}
need() { command -v "$1" >/dev/null 2>&1 || fail "$1 is missing: $2"; }
milliseconds() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# ------------------------------------------------------------------------------------------- starting and stopping

work=$(mktemp -d "${TMPDIR:-/tmp}/trueup-demo.XXXXXX")
started=()
made_in_cluster=''

start() { # NAME COMMAND...: in the background, its words in NAME.log
    local name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 </dev/null &
    started+=("$!")
}

stop_all() {
    local index pid
    for ((index = ${#started[@]} - 1; index >= 0; index--)); do
        pid=${started[index]}
        # A tunnel to the user's cluster outlives what is asked through it.
        [[ $pid == "${tunnel:-}" ]] && continue
        kill -TERM "$pid" 2>/dev/null || continue
        for _ in {1..100}; do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -KILL "$pid" 2>/dev/null || true
    done
    wait 2>/dev/null || true
}

tidy_cluster() {
    local name
    note "deleting what the demo made in the context $context"
    for name in "${namespaces[@]}"; do api DELETE "/api/v1/namespaces/$name" >/dev/null || true; done
    api DELETE /apis/apiextensions.k8s.io/v1/customresourcedefinitions/featureflags.shop.example.com >/dev/null || true
    if [[ $had_system == no ]]; then
        api DELETE /api/v1/namespaces/trueup-system >/dev/null || true
    else
        api DELETE /api/v1/namespaces/trueup-system/configmaps/trueup.definitions.shared >/dev/null || true
    fi
}

finish() {
    local code=$?
    trap - EXIT INT TERM
    if [[ -n $keep && $code -eq 0 ]]; then
        how_to_go_on
        exit 0
    fi
    # trueup first: it would put back what is deleted.
    if [[ -n ${trueup_pid:-} ]]; then
        kill -TERM "$trueup_pid" 2>/dev/null || true
        for _ in {1..100}; do kill -0 "$trueup_pid" 2>/dev/null || break; sleep 0.1; done
    fi
    [[ -z $made_in_cluster ]] || tidy_cluster
    [[ -z ${tunnel:-} ]] || kill -TERM "$tunnel" 2>/dev/null || true
    stop_all
    rm -rf "$work"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

how_to_go_on() {
    title "still running (KEEP=1)"
    cat <<EOF
the team's clone       $work/clone   (commit and push there)
the configuration      $work/trueup.yaml
trueup                 $bin/trueup, log in $work/trueup.log

    export TRUEUP_SERVER=$TRUEUP_SERVER PATH="$bin:\$PATH"
    trueup status --watch
    trueup diff --config $work/trueup.yaml --local $work/clone
$([[ -n $context ]] || echo "    kubectl --kubeconfig $work/cluster/kubeconfig get all -A")

stop it with: kill ${started[*]}; rm -rf $work
EOF
    [[ -z $context ]] || echo "and delete the namespaces ${namespaces[*]} and the CRD featureflags.shop.example.com"
}

# ------------------------------------------------------------------------------------------------- asking the cluster

# api METHOD PATH [MERGE-PATCH]: the cluster, as any other client sees it.
api() {
    local body=()
    [[ $# -lt 3 ]] || body=(-H 'Content-Type: application/merge-patch+json' --data "$3")
    curl -sS -A trueup-demo -X "$1" "${credentials[@]}" "${body[@]+"${body[@]}"}" "$server$2"
}
code_of() { curl -s -o /dev/null -w '%{http_code}' -A trueup-demo "${credentials[@]}" "$server$1"; }
exists() { [[ $(code_of "$1") == 200 ]]; }
is_gone() { [[ $(code_of "$1") == 404 ]]; }

deployment() { echo "/apis/apps/v1/namespaces/$1/deployments/$2"; }
replicas() { api GET "$(deployment "$1" "$2")/scale" | grep -o '"spec":{"replicas":[0-9]*' | grep -o '[0-9]*$'; }
image_tag() { api GET "$(deployment "$1" "$2")" | grep -o "\"image\":\"$api_image:[^\"]*\"" | head -n 1 | cut -d: -f3 | tr -d '"'; }
rollout() {
    api GET "$(deployment "$1" "$2")" | grep -o '"status":{"observedGeneration".*' |
        grep -oE '"(replicas|updatedReplicas|readyReplicas)":[0-9]+' | tr -d '"' | tr ':\n' ' ,' | sed 's/,$//'
}

# within SECONDS WHAT COMMAND...: until it holds.
within() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        ((SECONDS < end)) || fail "$what did not come true in time"
        [[ -z ${trueup_pid:-} ]] || kill -0 "$trueup_pid" 2>/dev/null || fail "trueup ended by itself"
        sleep 0.1
    done
}
converged() { trueup status >/dev/null 2>&1; }
is_tag() { [[ $(image_tag "$1" api) == "$2" ]]; }

# ------------------------------------------------------------------------------------------------------------ the stage

build() {
    title "Building"
    need cargo "see https://rustup.rs"
    need git "see https://git-scm.com"
    need curl "the demo looks at the cluster with it"
    if [[ -z $context ]]; then
        tests/cluster/build.sh >/dev/null
        cargo build --locked -p trueup -p trueup-testkit --bin trueup --bin control-plane
    else
        need kubectl "the demo reaches the context $context through it"
        cargo build --locked --bin trueup
    fi
    bin=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/debug
    trueup() { "$bin/trueup" "$@"; }
    show trueup version
}

start_cluster() {
    if [[ -n $context ]]; then
        title "Your cluster, by the context $context"
        start tunnel kubectl --context "$context" proxy --port=0
        tunnel=${started[-1]}
        within 30 "a connection through the context $context" grep -q 'Starting to serve on' "$work/tunnel.log"
        server=http://$(grep -o '127.0.0.1:[0-9]*' "$work/tunnel.log") credentials=()
        local name
        for name in "${namespaces[@]}"; do
            is_gone "/api/v1/namespaces/$name" ||
                fail "your cluster has a namespace $name already; the demo would change what is in it"
        done
        is_gone /apis/apiextensions.k8s.io/v1/customresourcedefinitions/featureflags.shop.example.com ||
            fail "your cluster has a CRD featureflags.shop.example.com already"
        had_system=$(exists /api/v1/namespaces/trueup-system && echo yes || echo no)
        made_in_cluster=yes
    else
        title "A control plane"
        start control-plane "$bin/control-plane" --dir "$work/cluster"
        within 120 "a control plane" grep -qx ready "$work/control-plane.log"
        local file=$work/cluster/kubeconfig
        server=$(grep -oE 'https://[^"[:space:]]+' "$file" | head -n 1)
        grep -oE 'certificate-authority-data"?: *"?[A-Za-z0-9+/=]+' "$file" | head -n 1 |
            grep -oE '[A-Za-z0-9+/=]+$' | base64 -d >"$work/ca.crt"
        credentials=(--cacert "$work/ca.crt" -H "Authorization: Bearer $(grep -oE '"?token"?: *"?[^"[:space:]]+' "$file" | head -n 1 | sed -E 's/.*[:"] *"?//')")
        cluster="{path: $file}"
    fi
    exists /readyz || fail "the API server does not answer"
    good "$(api GET /version | grep -o '"gitVersion": *"[^"]*"' | cut -d'"' -f4) answers at $server"
}

team_git() {
    GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 git -C "$work/clone" \
        -c user.name='Ada Example' -c user.email=ada@example.com -c commit.gpgsign=false "$@"
}

make_repository() {
    title "A config repository, made of examples/gitops-repo"
    git init -q --bare --initial-branch=main "$work/config.git"
    git init -q --initial-branch=main "$work/clone"
    team_git remote add origin "file://$work/config.git"
    cp -R examples/gitops-repo/. "$work/clone/"
    push "Open the shop" >/dev/null
    # The team's own configuration, with this repository and this cluster in place of theirs.
    {
        cat <<EOF
apiVersion: trueup.dev/v1alpha1
kind: Repository
metadata: {name: config}
spec:
  url: file://$work/config.git
  ref: {branch: main}
  interval: 1s
---
apiVersion: trueup.dev/v1alpha1
kind: Cluster
metadata: {name: shop}
spec:
  kubeconfig: ${cluster:-"{context: $context}"}
EOF
        awk 'function flush() { if (doc !~ /\nkind: (Repository|Cluster)\n/) printf "---\n%s", doc; doc = "" }
             $0 == "---" { flush(); next } { doc = doc $0 "\n" } END { flush() }' examples/gitops-repo/trueup.yaml
    } >"$work/trueup.yaml"
    show git -C "$work/clone" log --oneline
}

push() {
    team_git add --all
    team_git commit -q -m "$1"
    team_git push -q origin main
    team_git log -1 --format='%h %s'
}

free_port() {
    local port
    for _ in {1..50}; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    fail "no free port"
}

# ------------------------------------------------------------------------------------------------------------- the play

first_sync() {
    title "trueup makes the cluster what Git says"
    local listen
    listen=127.0.0.1:$(free_port)
    export TRUEUP_SERVER=http://$listen TRUEUP_CONFIG=$work/trueup.yaml TRUEUP_STATE=$work/state
    printf '%s$ trueup run --config trueup.yaml --state state --listen %s%s\n' "$dim" "$listen" "$plain"
    local from
    from=$(milliseconds)
    start trueup "$bin/trueup" run --config "$work/trueup.yaml" --state "$work/state" --listen "$listen"
    trueup_pid=${started[-1]}
    within "$patience" "staging and production, Synced and Healthy," converged
    good "both environments Synced and Healthy after $(($(milliseconds) - from)) ms"
    show trueup status
}

change_image() {
    title "A commit changes an image"
    local file=apps/api/base/kustomization.yaml
    sed -i.bak 's/newTag: 6\.8\.0/newTag: 6.9.0/' "$work/clone/$file"
    rm -f "$work/clone/$file.bak"
    team_git --no-pager diff -U0 --no-color -- "$file" | tail -n 2
    note "what it would do, before it is pushed:"
    local code=0
    show trueup diff api@production --local "$work/clone" || code=$?
    [[ $code -eq 1 ]] || fail "trueup diff should have found a difference (1), and ended with $code"
    push "Roll out API 6.9.0"
    local from name last='' now end=$((SECONDS + patience))
    from=$(milliseconds)
    for name in "${namespaces[@]}"; do within "$patience" "the new image in $name" is_tag "$name" 6.9.0; done
    good "the new image is in both Deployments $(($(milliseconds) - from)) ms after the push"
    until converged; do
        now="api in shop-production: $(rollout shop-production api)"
        [[ $now == "$last" ]] || note "$now"
        last=$now
        ((SECONDS < end)) || fail "the rollout did not end in time"
        sleep 0.2
    done
    good "rolled out: $(rollout shop-production api)"
    show trueup status
}

make_drift() {
    title "Somebody scales the API by hand"
    local want from took
    want=$(replicas shop-staging api)
    note "kubectl scale -n shop-staging deployment/api --replicas=7     (Git says $want)"
    from=$(milliseconds)
    api PATCH "$(deployment shop-staging api)/scale" '{"spec":{"replicas":7}}' | grep -q '"replicas":7' ||
        fail "the API server did not take the change"
    local end=$((SECONDS + 30))
    until [[ $(replicas shop-staging api) == "$want" ]]; do
        ((SECONDS < end)) || fail "the drift was not repaired"
    done
    took=$(($(milliseconds) - from))
    good "$want again, $took ms after the change was sent"
    within 60 "a settled state after the repair" converged
}

remove_object() {
    title "A commit removes an object"
    local job name
    job() { echo "/apis/batch/v1/namespaces/$1/cronjobs/api-cleanup"; }
    for name in "${namespaces[@]}"; do exists "$(job "$name")" || fail "there is no CronJob in $name"; done
    team_git rm -q apps/api/base/cleanup.yaml
    sed -i.bak '/cleanup\.yaml/d' "$work/clone/apps/api/base/kustomization.yaml"
    rm -f "$work/clone/apps/api/base/kustomization.yaml.bak"
    push "Forget baskets in the API itself"
    local from
    from=$(milliseconds)
    for name in "${namespaces[@]}"; do within 60 "the end of the CronJob in $name" is_gone "$(job "$name")"; done
    good "the CronJob is gone from both environments, $(($(milliseconds) - from)) ms after the push"
    within 60 "a settled state after the removal" converged
}

look_back() {
    title "What happened to api@staging"
    show trueup history api@staging
    show trueup status
    note ""
    good "all of it held, in $((SECONDS - began)) s"
}

build
start_cluster
make_repository
first_sync
change_image
make_drift
remove_object
look_back
