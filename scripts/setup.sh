#!/usr/bin/env bash
# Sees to the tools that the tests ask things of: git, ssh and sshd (sources over ssh), promtool (the text of /metrics), and the server
# of PostgreSQL (shared history).
# Installs what is missing through apt, where there is apt and the right to use it; otherwise says what is missing.
# Does nothing where all is there. Ends with 1 only when something is missing without which nothing can be built.
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin"
# Debian has the server's programs beside the path, a folder a version.
for programs in /usr/lib/postgresql/*/bin; do
    PATH="$PATH:$programs"
done

has() { command -v "$1" >/dev/null 2>&1; }
say() { echo "setup: $*" >&2; }

# tool:Debian package
wanted=(git:git ssh:openssh-client ssh-keygen:openssh-client sshd:openssh-server promtool:prometheus postgres:postgresql)
missing_tools=() missing_packages=()
for pair in "${wanted[@]}"; do
    has "${pair%%:*}" && continue
    missing_tools+=("${pair%%:*}")
    [[ " ${missing_packages[*]:-} " == *" ${pair#*:} "* ]] || missing_packages+=("${pair#*:}")
done

policy=/usr/sbin/policy-rc.d
root=()
install_packages() {
    if [[ $EUID -ne 0 ]]; then
        if ! has sudo; then
            say "not root and no sudo: install it yourself with: apt-get install ${missing_packages[*]}"
            return 1
        fi
        root=(sudo)
    fi
    say "installing ${missing_packages[*]} for ${missing_tools[*]}"
    # The tests start what they need by themselves, on free ports; Debian would start these as services of the machine.
    if [[ ! -e $policy ]]; then
        # Also when this is interrupted: left behind, it would keep every later service from starting.
        trap '${root[@]+"${root[@]}"} rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | ${root[@]+"${root[@]}"} tee "$policy" >/dev/null
        ${root[@]+"${root[@]}"} chmod +x "$policy"
    fi
    local result=0
    { ${root[@]+"${root[@]}"} apt-get update -q &&
        ${root[@]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends "${missing_packages[@]}"; } >&2 || result=1
    return "$result"
}

if [[ ${#missing_tools[@]} -gt 0 ]]; then
    if has apt-get; then
        install_packages || say "apt could not install ${missing_packages[*]}"
    else
        say "no apt-get here: install what gives you ${missing_tools[*]} (on Debian: ${missing_packages[*]})"
    fi
    for programs in /usr/lib/postgresql/*/bin; do
        PATH="$PATH:$programs"
    done
    for tool in "${missing_tools[@]}"; do
        has "$tool" || say "$tool is missing still: the tests that ask it say so"
    done
fi

fatal=0
need() {
    has "$1" && return
    say "$1 is missing: $2"
    fatal=1
}
need cargo "see https://rustup.rs"
need cc "a C compiler builds SQLite and the TLS library (on Debian: build-essential)"
need git "see https://git-scm.com"
[[ -n "${TRUEUP_TEST_KUBECONFIG:-}" ]] || need go "Go 1.26 or later builds the control plane: see https://go.dev/doc/install"
exit "$fatal"
