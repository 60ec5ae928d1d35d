#!/bin/sh
# Ends everything that rke2 runs on this machine: the service, every container, and what they left in the kernel.
# The data directory keeps its content; the next start of rke2 brings the node back.
#
# RKE2_DATA_DIR: the data directory, if it is not /var/lib/rancher/rke2.
set -u

# The kernel knows programs by their real paths: without links, dots and doubled slashes.
given=${RKE2_DATA_DIR:-/var/lib/rancher/rke2}
data_dir=$(readlink -f -- "$given" 2>/dev/null) || data_dir=$given

# What the host lacks, or has of another kind, rke2 has linked here. sbin: not in everybody's PATH.
PATH=$data_dir/agent/programs:$PATH:/usr/sbin:/sbin

main() {
    [ "$(id -u)" = 0 ] || { echo "rke2-killall.sh: must run as root, use sudo" >&2; exit 1; }
    case $data_dir in
        /?*/?*) ;;
        *) echo "rke2-killall.sh: RKE2_DATA_DIR=$given cannot be a data directory" >&2; exit 1 ;;
    esac
    [ -d "$data_dir" ] || echo "rke2-killall.sh: there is no data directory $given; set RKE2_DATA_DIR to yours" >&2
    stop_rke2
    kill_containers || exit 1
    for place in /run/k3s/ /var/lib/kubelet/pods/ /run/netns/cni- /run/cilium/cgroupv2; do
        unmount_below "$place"
    done
    # Cilium's programs stay attached to interfaces and control groups for as long as they have a name here.
    rm -rf /sys/fs/bpf/cilium /sys/fs/bpf/tc/globals/cilium_*
    remove_interfaces
    # Without these no pod of the control plane starts before rke2 has decided that it may.
    for pod in etcd kube-apiserver kube-controller-manager cloud-controller-manager kube-scheduler kube-proxy; do
        rm -f "$data_dir/agent/pod-manifests/$pod.yaml"
    done
    for family in iptables ip6tables; do
        remove_rules "$family"
    done
    remove_sets
    remove_routes
    return 0
}

stop_rke2() {
    if [ -d /run/systemd/system ]; then
        systemctl stop rke2-server.service rke2-agent.service 2>/dev/null
    fi
    # Started by hand: the lock file names the process. containerd and kubelet end with it.
    pid=$(tr -dc 0-9 2>/dev/null <"$data_dir/rke2.lock")
    for signal in TERM KILL; do
        is_rke2 "$pid" || return 0
        kill -s "$signal" "$pid"
        tries=200
        while is_rke2 "$pid" && [ "$tries" -gt 0 ]; do
            tries=$((tries - 1))
            sleep 0.1
        done
    done
}

is_rke2() {
    [ -n "$1" ] && tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -Eq 'rke2 (server|agent)'
}

# Shims (containerd and kubelet, too, if rke2 could not end them) that run from the data directory or that work for
# the socket of rke2's containerd, wherever they run from; and all descendants.
doomed_processes() {
    processes | awk -v place="$data_dir/" '
        $2 == "parent" { parent[$1] = $3 }
        $2 == "program" { from[$1] = substr($0, length($1) + length(" program ") + 1) }
        $2 == "serves" { serves[$1] }
        END {
            for (pid in from)
                if (from[pid] ~ /\/(containerd|containerd-shim[^\/]*|kubelet)$/ &&
                    (index(from[pid], place) == 1 || pid in serves)) { doomed[pid] }
            do {
                found = 0
                for (pid in parent)
                    if (!(pid in doomed) && parent[pid] in doomed) { doomed[pid]; found = 1 }
            } while (found)
            for (pid in doomed) print pid
        }'
}

# Lines "PID parent PID" and "PID program PATH" of all, "PID serves" of those that name the socket. A host need not
# have ps. The program's file may have been removed or replaced: the kernel says so behind its path.
processes() {
    grep -H '^PPid:' /proc/[0-9]*/status 2>/dev/null | sed 's,^/proc/\([0-9]*\)/status:PPid:,\1 parent ,'
    # shellcheck disable=SC2012 # numbers only
    ls -l /proc/[0-9]*/exe 2>/dev/null | sed -n 's,^.* /proc/\([0-9]*\)/exe -> \(.*\)$,\1 program \2,p' |
        sed 's, (deleted)$,,'
    grep -lF /run/k3s/containerd/ /proc/[0-9]*/cmdline 2>/dev/null | sed 's,^/proc/\([0-9]*\)/cmdline,\1 serves,'
}

kill_containers() {
    tries=50
    while pids=$(doomed_processes) && [ -n "$pids" ]; do
        # shellcheck disable=SC2086 # a list of numbers
        kill -KILL $pids 2>/dev/null
        tries=$((tries - 1))
        if [ "$tries" = 0 ]; then
            printf 'rke2-killall.sh: these processes do not end:\n%s\n' "$pids" >&2
            return 1
        fi
        sleep 0.1
    done
}

# Unmounts everything whose path begins with $1, deepest first, and removes the empty mount point. Only what is
# unmounted is removed: below a volume that stays there is a user's data.
unmount_below() {
    directory=$(readlink -f -- "${1%/*}" 2>/dev/null) || directory=${1%/*}
    awk -v place="$directory/${1##*/}" 'index($2, place) == 1 { print $2 }' /proc/self/mounts | sort -ru | while read -r escaped; do
        point=$(printf '%b' "$escaped")
        umount -- "$point" && remove_tree "$point"
    done
}

# As `rm -rf --one-file-system`, which is GNU's only.
remove_tree() {
    [ -e "$1" ] || [ -L "$1" ] || return 0
    find "$1" -xdev ! -type d -exec rm -f -- {} +
    [ ! -d "$1" ] || find "$1" -xdev -depth -type d -exec rmdir -- {} +
}

interfaces="cni0 flannel.1 flannel.4096 flannel-v6.1 flannel-v6.4096 flannel-wg flannel-wg-v6
    vxlan.calico vxlan-v6.calico cilium_vxlan cilium_net cilium_wg0 kube-ipvs0 nodelocaldns"

remove_interfaces() {
    if command -v ip >/dev/null; then
        ip -o link show master cni0 2>/dev/null | awk -F'[ :@]+' '{ print $2 }' | while read -r name; do
            ip link delete "$name"
        done
    fi
    for name in $interfaces; do
        [ -e "/sys/class/net/$name" ] || continue
        ip link delete "$name" || echo "rke2-killall.sh: the interface $name is left" >&2
    done
}

ours='KUBE-|CNI-|cali-|cali:|CILIUM_|flannel|NodeLocal DNS Cache'

remove_rules() {
    command -v "$1-save" >/dev/null || return 0
    "$1-save" | grep -Ev -- "$ours" | "$1-restore"
    if "$1-save" | grep -Eq -- "$ours"; then
        echo "rke2-killall.sh: rules of Kubernetes are left; look at \`$1-save\`" >&2
    fi
}

# Calico's sets of addresses; rules that used them are gone by now. rke2 itself can: a host need not have ipset.
remove_sets() {
    [ -d /var/lib/calico ] || return 0
    rke2=$(dirname "$(readlink -f "$0")")/rke2
    [ -x "$rke2" ] || rke2=rke2
    if ! command -v "$rke2" >/dev/null; then
        echo "rke2-killall.sh: IP sets of Calico may be left: rke2 is not there to remove them" >&2
    elif ! "$rke2" remove-ip-sets cali; then
        echo "rke2-killall.sh: IP sets of Calico are left; look at \`ipset list -n\`" >&2
    fi
}

# 80 is the protocol that Calico marks its routes with.
remove_routes() {
    command -v ip >/dev/null || return 0
    ip route flush proto 80 2>/dev/null
    ip -6 route flush proto 80 2>/dev/null
}

main
exit
