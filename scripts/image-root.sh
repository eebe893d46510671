#!/usr/bin/env bash
# Collects in FOLDER what trueup needs of a system: ssh with its libraries and their loader, the certificates of public
# authorities, a user without rights, and a place for temporary files. What is collected is the system's that it runs on.
#
#   image-root.sh FOLDER
set -euo pipefail
root=$1

say() { echo "image-root: $*" >&2; }

# A file, where it is, whatever links lead to it.
put() {
    mkdir -p "$root$(dirname "$1")"
    cp -L "$1" "$root$1"
}

ssh=$(command -v ssh) || { say "there is no ssh"; exit 1; }
mkdir -p "$root/usr/bin"
cp -L "$ssh" "$root/usr/bin/ssh"
# Lines are `libz.so.1 => /lib/libz.so.1 (0x..)`, and `/lib/ld-musl-x86_64.so.1 (0x..)` for the loader.
libraries=$(ldd "$ssh" | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' | sort -u)
[[ -n $libraries ]] || { say "ssh needs no library, which cannot be"; exit 1; }
for library in $libraries; do
    put "$library"
done

authorities=/etc/ssl/certs/ca-certificates.crt
[[ -s $authorities ]] || { say "there are no certificates in $authorities"; exit 1; }
put "$authorities"

# ssh refuses to work for a user without a name.
mkdir -p "$root/etc"
echo 'trueup:x:65532:65532:trueup:/tmp:/sbin/nologin' >"$root/etc/passwd"
echo 'trueup:x:65532:' >"$root/etc/group"
mkdir -p "$root/tmp" "$root/state"
chmod 1777 "$root/tmp"
