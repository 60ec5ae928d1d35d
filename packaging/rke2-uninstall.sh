#!/bin/sh
# Removes rke2, this node's cluster data, and itself. There is no way back but a backup.
#
# RKE2_DATA_DIR: the data directory, if it is not /var/lib/rancher/rke2.
set -u

given=${RKE2_DATA_DIR:-/var/lib/rancher/rke2}
data_dir=$(readlink -f -- "$given" 2>/dev/null) || data_dir=$given
bin=$(dirname "$(readlink -f "$0")")
prefix=$(dirname "$bin")

main() {
    [ "$(id -u)" = 0 ] || { echo "rke2-uninstall.sh: must run as root, use sudo" >&2; exit 1; }
    case $data_dir in
        /?*/?*) ;;
        *) echo "rke2-uninstall.sh: RKE2_DATA_DIR=$given cannot be a data directory" >&2; exit 1 ;;
    esac
    # What dots or a link lead to may be anything.
    if [ -n "$(ls -A "$data_dir" 2>/dev/null)" ] && [ ! -d "$data_dir/agent" ] && [ ! -d "$data_dir/server" ]; then
        echo "rke2-uninstall.sh: RKE2_DATA_DIR=$given is not a data directory of rke2: no agent and no server in it" >&2
        exit 1
    fi
    "$bin/rke2-killall.sh" || exit 1
    remove_units
    remove /etc/rancher/rke2 /etc/rancher/node /etc/cni /opt/cni/bin /var/lib/cni /var/lib/calico \
        /var/log/pods /var/log/containers /var/log/calico /var/lib/kubelet "$data_dir"
    link=$(printf %s "$given" | sed 's,//*$,,')
    if [ -L "$link" ]; then rm -f -- "$link"; fi
    rmdir /etc/rancher "$(dirname "$link")" 2>/dev/null
    remove_packages
    remove "$prefix/lib/rke2" "$prefix/share/rke2" "$bin/rke2" "$bin/rke2-killall.sh" "$bin/rke2-uninstall.sh"
    case $prefix in
        /usr) ;;
        *) rmdir "$prefix/lib/systemd/system" "$prefix/lib/systemd" 2>/dev/null ;;
    esac
    if [ "$prefix" = /opt/rke2 ]; then rmdir "$bin" "$prefix/lib" "$prefix/share" "$prefix" 2>/dev/null; fi
    return 0
}

# Package managers would otherwise think that it is there; they know no dependency of others on it.
remove_packages() {
    for package in rke2-server rke2-agent rke2-common; do
        if command -v rpm >/dev/null && rpm -q "$package" >/dev/null 2>&1; then rpm -e "$package"; fi
        if command -v dpkg-query >/dev/null && dpkg-query -W "$package" >/dev/null 2>&1; then
            dpkg --purge "$package" >/dev/null
        fi
    done
}

remove_units() {
    running=false
    [ -d /run/systemd/system ] && running=true
    for unit in rke2-server rke2-agent; do
        if $running; then
            systemctl disable "$unit.service" 2>/dev/null
            systemctl reset-failed "$unit.service" 2>/dev/null
        fi
        remove "$prefix/lib/systemd/system/$unit.service" "$prefix/lib/systemd/system/$unit.env" \
            "/etc/systemd/system/$unit.service"
    done
    if $running; then systemctl daemon-reload; fi
}

# Stays on one file system, without GNU's rm: what somebody mounted below is not rke2's. A mount point is emptied,
# but stays, and so do the directories above it.
remove() {
    for path; do
        if [ -L "$path" ] || [ ! -d "$path" ]; then
            rm -f -- "$path"
            continue
        fi
        find "$path" -xdev ! -type d -exec rm -f -- {} +
        find "$path" -xdev -depth -type d -exec rmdir -- {} + 2>/dev/null
        if [ -d "$path" ] && ! has_mounts "$path"; then
            echo "rke2-uninstall.sh: $path cannot be removed whole; see what is left in it" >&2
        fi
    done
}

# Whether something is mounted at $1 or below.
has_mounts() {
    place=$(readlink -f -- "$1")
    cut -d ' ' -f 2 /proc/self/mounts | while read -r escaped; do
        case $(printf '%b' "$escaped")/ in "$place"/*) echo yes ;; esac
    done | grep -q yes
}

main
exit
