#!/bin/sh
# Makes certificate authorities for a cluster of RKE2, each with an intermediate CA that signs and a root above it.
#
#   rke2-new-cas.sh OUT                          for a cluster that is to begin with them
#   rke2-new-cas.sh -f /var/lib/rancher/rke2/server OUT
#                                                for one that runs: cross-signed by the CAs it has, whose keys are read
#   -r ROOT    server and client CA under the root in ROOT/root-ca.crt, ROOT/root-ca.key instead of roots of their own
#
# OUT/tls has the files of `rke2 certificate rotate-ca --path OUT`, or of <data-dir>/server/tls before the first start.
# The keys of new roots are in OUT/roots. No node needs them: take them away, and keep them.
#
# Needs openssl (1.1.1 or newer) and nothing else.
set -eu
umask 077

ROOT_DAYS=7300
ISSUING_DAYS=3650

usage() {
    sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

fail() {
    echo "rke2-new-cas.sh: $1" >&2
    exit 1
}

new_key() { # FILE
    [ -s "$1" ] || openssl ecparam -name prime256v1 -genkey -noout -out "$1"
}

# Signs a request as a CA's certificate.
sign() { # REQUEST OUT DAYS, then what openssl calls the issuer
    request=$1 out=$2 days=$3
    shift 3
    openssl x509 -req -in "$request" "$@" -days "$days" -sha256 -set_serial "0x$(openssl rand -hex 16)" \
        -extfile "$work/openssl.cnf" -extensions authority -out "$out" 2>"$work/errors" ||
        fail "$(cat "$work/errors")"
}

request() { # NAME KEY
    openssl req -new -config "$work/openssl.cnf" -key "$2" -subj "/CN=$1" -out "$work/request"
}

# The root of a CA in OUT/roots, or the one of -r.
root_of() { # FILE
    case "$1" in
        server-ca | client-ca) [ -z "$given" ] || { echo "$given/root-ca"; return; } ;;
    esac
    # Roots of their own: whoever trusts a root trusts all below it, and etcd must not trust certificates of kubelets.
    name=$(echo "$1" | tr / -)
    new_key "$out_dir/roots/$name-root.key"
    request "rke2-$name-root@$now" "$out_dir/roots/$name-root.key"
    sign "$work/request" "$out_dir/roots/$name-root.crt" "$ROOT_DAYS" -signkey "$out_dir/roots/$name-root.key"
    echo "$out_dir/roots/$name-root"
}

# The bundle of a CA: the one that signs, the root as the former CA has signed it, the root, the former bundle.
authority() { # FILE NAME
    root=$(root_of "$1")
    new_key "$out_dir/tls/$1.key"
    request "$2@$now" "$out_dir/tls/$1.key"
    sign "$work/request" "$work/issuing" "$ISSUING_DAYS" -CA "$root.crt" -CAkey "$root.key"
    : >"$work/crossed"
    : >"$work/former"
    if [ -n "$former" ]; then
        if ! { [ -s "$former/tls/$1.crt" ] && [ -s "$former/tls/$1.key" ]; }; then
            fail "$former/tls has no $1.crt and $1.key"
        fi
        cat "$former/tls/$1.crt" >"$work/former"
        # The same name, to the byte: else it would be another authority.
        openssl x509 -x509toreq -in "$root.crt" -signkey "$root.key" -out "$work/again" 2>"$work/errors" ||
            fail "$(cat "$work/errors")"
        sign "$work/again" "$work/crossed" "$ROOT_DAYS" -CA "$former/tls/$1.crt" -CAkey "$former/tls/$1.key"
        cat "$work/crossed" "$former/tls/$1.crt" >"$work/between"
        openssl verify -CAfile "$work/former" -untrusted "$work/between" "$work/issuing" >"$work/errors" 2>&1 ||
            fail "whoever knows the former $1 does not trust the new one: $(cat "$work/errors")"
    fi
    cat "$work/issuing" "$work/crossed" "$root.crt" "$work/former" >"$out_dir/tls/$1.crt"
}

given='' former=''
while getopts f:r:h option; do
    case $option in
        f) former=$OPTARG ;;
        r) given=$OPTARG ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 1 ] || usage
out_dir=$1
[ ! -e "$out_dir/tls" ] || fail "$out_dir/tls is there already: name another directory"
[ -z "$given" ] || [ -s "$given/root-ca.key" ] || fail "$given has no root-ca.key"

mkdir -p "$out_dir/tls/etcd" "$out_dir/roots"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
now=$(date +%s)
cat >"$work/openssl.cnf" <<'END'
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, digitalSignature, keyEncipherment, keyCertSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END

authority server-ca rke2-server-ca
authority client-ca rke2-client-ca
authority request-header-ca rke2-request-header-ca
authority etcd/server-ca etcd-server-ca
authority etcd/peer-ca etcd-peer-ca

# The first key signs; tokens that the former ones have signed stay valid.
openssl genrsa -traditional -out "$out_dir/tls/service.key" 2048 2>/dev/null ||
    openssl genrsa -out "$out_dir/tls/service.key" 2048 2>/dev/null
[ -z "$former" ] || cat "$former/tls/service.key" >>"$out_dir/tls/service.key"
echo "$out_dir/tls has the new authorities; the keys of their roots, which no node needs, are in $out_dir/roots"
