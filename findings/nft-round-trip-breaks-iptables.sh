#!/usr/bin/env bash
# iptables-nft cannot read its own rules any more after `nft list ruleset > file; nft -f file`.
#
# Library:  nftables 1.0.6-2+deb12u2 with iptables 1.8.9-2 (Debian 12). Needs root: works in a network namespace.
# Expected: both nft commands exit 0, and the file is what nftables.service loads at boot; so the rules are the same.
# Seen:     a `statistic --mode random` match, an `addrtype` match and a `MARK --or-mark` target come back in a form that
#           iptables-nft has no words for: -C of any rule in that chain and iptables-save end with "Parsing nftables rule
#           failed" (-A still works). Comments are lost, and a MASQUERADE with --random-fully is no longer found by -C,
#           so that it would be added twice. A mark match survives.
# Where:    /etc/nftables.conf saved on a node whose rules kube-proxy, flannel or Calico's Felix had made: every Service
#           with several endpoints has a statistic rule, every masquerade a mark. Felix reads the tables with
#           iptables-save, flannel looks for its rules with -C.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "must run as root, for a network namespace" >&2; exit 2; }
dir=${1:-}
if [ -z "$dir" ]; then
    dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
    chmod 755 "$dir"
    (
        cd "$dir"
        apt-get download -qq nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 libmnl0=1.0.4-3 \
            iptables=1.8.9-2 libxtables12=1.8.9-2 libjansson4=2.14-2 libedit2=3.1-20221030-2 libbsd0=0.11.7-2
        for package in *.deb; do dpkg-deb -x "$package" .; done
    )
    unshare --net "$0" "$dir"
    exit
fi

# From here on in the network namespace.
lib="$dir/usr/lib/$(uname -m)-linux-gnu"
export LD_LIBRARY_PATH="$lib" XTABLES_LIBDIR="$lib/xtables"
nft() { "$dir/usr/sbin/nft" "$@"; }
iptables() { "$dir/usr/sbin/xtables-nft-multi" iptables -t nat "$@"; }
nft --version; iptables --version

# Adds a rule, takes the tables through a file, and says how `iptables -C` ends for that rule.
round_trip() {
    local code=0
    nft flush ruleset
    iptables -N TEST
    iptables -A TEST "$@"
    iptables -C TEST "$@"
    nft list ruleset > "$dir/rules" 2> /dev/null
    nft flush ruleset
    nft -f "$dir/rules"
    iptables -C TEST "$@" > "$dir/words" 2>&1 || code=$?
    echo "after the round trip, -C $*: exit code $code $(tr '\n' ' ' < "$dir/words")" >&2
    echo "$code"
}

expect() {
    local code=$1 seen; shift
    seen=$(round_trip "$@")
    [ "$seen" = "$code" ] || { echo "the behaviour changed: exit code $seen, it was $code, for $*" >&2; exit 1; }
}

expect 0 -m mark ! --mark 0x4000/0x4000 -j RETURN
expect 1 -m comment --comment "default/web" -j RETURN
expect 1 -j MASQUERADE --random-fully
expect 3 -m statistic --mode random --probability 0.5 -j RETURN
expect 3 -m addrtype --dst-type LOCAL -j RETURN
expect 3 -j MARK --or-mark 0x4000

if "$dir/usr/sbin/xtables-nft-multi" iptables-save > /dev/null 2>&1; then
    echo "the behaviour changed: iptables-save reads the table" >&2
    exit 1
fi
iptables -A TEST -j RETURN
echo "iptables-save refuses the table, -A still works"
echo "finding holds: rules of iptables-nft that went through an nft file are lost to iptables-nft"
