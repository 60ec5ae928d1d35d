#!/bin/sh
# Ends everything that rke2 runs on this machine: the service, every container, and what they left in the kernel.
# The data directory keeps its content; the next start of rke2 brings the node back.
#
# RKE2_DATA_DIR: the data directory, if it is not /var/lib/rancher/rke2.
set -u

data_dir=${RKE2_DATA_DIR:-/var/lib/rancher/rke2}

# What the host lacks, or has of another kind, rke2 has linked here. sbin: not in everybody's PATH.
PATH=$data_dir/agent/programs:$PATH:/usr/sbin:/sbin

main() {
    [ "$(id -u)" = 0 ] || { echo "rke2-killall.sh: must run as root, use sudo" >&2; exit 1; }
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
}

stop_rke2() {
    if [ -d /run/systemd/system ]; then
        systemctl stop rke2-server.service rke2-agent.service 2>/dev/null
    fi
    # Started by hand: the lock file names the process. containerd and kubelet end with it.
    pid=$(tr -dc 0-9 <"$data_dir/rke2.lock" 2>/dev/null)
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

# What runs from the data directory (shims; containerd and kubelet if rke2 could not end them), and all descendants.
doomed_processes() {
    processes | awk -v place="$data_dir/" '
        $2 == "parent" { parent[$1] = $3 }
        $2 == "program" && index($3, place) == 1 && $3 ~ /\/bin\/(containerd|containerd-shim[^\/]*|kubelet)$/ { doomed[$1] }
        END {
            do {
                found = 0
                for (pid in parent)
                    if (!(pid in doomed) && parent[pid] in doomed) { doomed[pid]; found = 1 }
            } while (found)
            for (pid in doomed) print pid
        }'
}

# Lines "PID parent PID" of all, and "PID program PATH" of those that name the data directory. A host need not have ps.
processes() {
    grep -H '^PPid:' /proc/[0-9]*/status 2>/dev/null | sed 's,^/proc/\([0-9]*\)/status:PPid:,\1 parent ,'
    grep -lF "$data_dir/" /proc/[0-9]*/cmdline 2>/dev/null | while read -r file; do
        pid=${file#/proc/}
        program=$(tr '\0\n' '  ' 2>/dev/null <"$file")
        echo "${pid%/cmdline} program ${program%% *}"
    done
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
    awk -v place="$1" 'index($2, place) == 1 { print $2 }' /proc/self/mounts | sort -ru | while read -r escaped; do
        point=$(printf '%b' "$escaped")
        umount -- "$point" && rm -rf --one-file-system -- "$point"
    done
}

remove_interfaces() {
    ip -o link show master cni0 2>/dev/null | awk -F'[ :@]+' '{ print $2 }' | while read -r name; do
        ip link delete "$name"
    done
    for name in cni0 flannel.1 flannel.4096 flannel-v6.1 flannel-v6.4096 flannel-wg flannel-wg-v6 \
        vxlan.calico vxlan-v6.calico cilium_vxlan cilium_net cilium_wg0 kube-ipvs0 nodelocaldns; do
        ip link delete "$name" 2>/dev/null
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

# Calico's sets of addresses; rules that used them are gone by now.
remove_sets() {
    for python in "$(dirname "$(dirname "$(readlink -f "$0")")")/lib/rke2/bin/python" python3; do
        command -v "$python" >/dev/null && "$python" -c 'import rke2' 2>/dev/null || continue
        "$python" -m rke2.host.ipsets destroy cali || echo "rke2-killall.sh: IP sets of Calico are in use" >&2
        return
    done
}

# 80 is the protocol that Calico marks its routes with.
remove_routes() {
    ip route flush proto 80 2>/dev/null
    ip -6 route flush proto 80 2>/dev/null
}

main
exit
