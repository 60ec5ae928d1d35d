#!/bin/sh
# shellcheck disable=SC2317 # some functions are called by made-up names
# Installs a release of rke2, or puts it in the place of an older one. Nothing is started, stopped or configured.
#
# From where, the first that is set; else from the directory that this script lies in:
#   INSTALL_RKE2_ARTIFACT_PATH      a directory with the files of a release
#   INSTALL_RKE2_ARTIFACT_URL       a base: <base>/<version>/<file>
# Which release of a base:
#   INSTALL_RKE2_VERSION            such as v1.36.4+rke2py1; with a directory: it must be this one
#   INSTALL_RKE2_CHANNEL            without a version: the channel that names it (stable)
#   INSTALL_RKE2_CHANNEL_URL        where channels are: a file, or a redirect to the release (<base>/channels)
# What, and where to:
#   INSTALL_RKE2_TYPE               server or agent (server); INSTALL_RKE2_EXEC means the same
#   INSTALL_RKE2_METHOD             tar, rpm or deb (tar)
#   INSTALL_RKE2_RPM_RELEASE_VERSION the release number of the .rpm (0)
#   INSTALL_RKE2_TAR_PREFIX         where programs go (/usr/local; /opt/rke2 if that is read-only or a mount point)
#   INSTALL_RKE2_AGENT_IMAGES_DIR   where image archives go (/var/lib/rancher/rke2/agent/images)
#   INSTALL_RKE2_CNI                the CNI plugins whose images are installed (canal), as in `cni` of config.yaml
#   INSTALL_RKE2_ALLOW_DOWNGRADE    true: also a release that is older than the installed one
#   INSTALL_RKE2_SKIP_IMAGES        true: no image archives; the node pulls from a registry
#   INSTALL_RKE2_SKIP_RELOAD        true: systemd is not told about the units
#   INSTALL_RKE2_SKIP_RESTORECON    true: SELinux contexts are left alone
#   INSTALL_RKE2_SKIP_FAPOLICY      accepted: no rules for fapolicyd are written in any case
#   DEBUG                           1: every command is shown
#
# Every file is compared with sha256sum-amd64.txt before anything is changed. Each is put in place by a rename: a
# program that runs keeps the old one. Configuration and data stay as they are.
set -eu
if [ "${DEBUG:-}" = 1 ]; then set -x; fi

program=rke2.linux-amd64
sums=sha256sum-amd64.txt
known=" ARTIFACT_PATH ARTIFACT_URL VERSION CHANNEL CHANNEL_URL TYPE EXEC METHOD RPM_RELEASE_VERSION TAR_PREFIX \
 AGENT_IMAGES_DIR CNI ALLOW_DOWNGRADE SKIP_IMAGES SKIP_RELOAD SKIP_RESTORECON SKIP_FAPOLICY COMMIT "
plugins="canal calico cilium multus"

type=${INSTALL_RKE2_TYPE:-${INSTALL_RKE2_EXEC:-server}}
method=${INSTALL_RKE2_METHOD:-tar}
version=${INSTALL_RKE2_VERSION:-}
directory=${INSTALL_RKE2_ARTIFACT_PATH:-}
base=${INSTALL_RKE2_ARTIFACT_URL:-}
images=${INSTALL_RKE2_AGENT_IMAGES_DIR:-/var/lib/rancher/rke2/agent/images}
prefix=${INSTALL_RKE2_TAR_PREFIX:-}
drop_in=/etc/rancher/rke2/config.yaml.d/10-images.yaml
system_units=/etc/systemd/system
scratch=
staging=
made=

main() {
    check_input
    choose_source
    trap clean_up EXIT
    trap 'exit 1' HUP INT TERM
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/rke2-install.XXXXXX") || fail "no temporary directory can be made" \
        "free space in ${TMPDIR:-/tmp}, or set TMPDIR"
    find_release
    # Up to here and through these, nothing that anybody would notice is changed.
    "prepare_$method"
    get_images
    # First, for the program that comes then is the one that needs them.
    install_images
    "install_$method"
    restore_contexts
    reload
    tell
}

# --- what is asked for --------------------------------------------------------------------------------------------
check_input() {
    warn_unknown
    case $type in server | agent) ;; *) fail "INSTALL_RKE2_TYPE=$type is neither server nor agent" ;; esac
    case $method in tar | rpm | deb) ;; *) fail "INSTALL_RKE2_METHOD=$method is not one of tar, rpm, deb" ;; esac
    [ -z "${INSTALL_RKE2_COMMIT:-}" ] || fail "there are no builds by commit" \
        "unset INSTALL_RKE2_COMMIT; set INSTALL_RKE2_VERSION"
    case $prefix in '' | /*) ;; *) fail "INSTALL_RKE2_TAR_PREFIX=$prefix is not an absolute path" ;; esac
    case $images in /*) ;; *) fail "INSTALL_RKE2_AGENT_IMAGES_DIR=$images is not an absolute path" ;; esac
    for plugin in $(printf %s "${INSTALL_RKE2_CNI:-canal}" | tr , ' '); do
        case " $plugins none " in
            *" $plugin "*) ;;
            *) fail "INSTALL_RKE2_CNI: $plugin is not a CNI plugin of this release" "choose of: $plugins none" ;;
        esac
    done
    [ "$(uname -s)" = Linux ] || fail "rke2 runs on Linux only"
    case $(uname -m) in x86_64 | amd64) ;; *) fail "this machine is $(uname -m); releases are for amd64 only" ;; esac
    [ "$(id -u)" = 0 ] || fail "installing needs root" "use sudo"
    for tool in sha256sum awk tar gzip mktemp; do need "$tool"; done
    check_method
}

warn_unknown() {
    for name in $(env | sed -n 's/^INSTALL_RKE2_\([A-Z0-9_]*\)=.*/\1/p'); do
        case $known in
            *" $name "*) ;;
            *) warn "INSTALL_RKE2_$name is not a variable of this script; it is ignored" ;;
        esac
    done
}

# Two ways of installation on one machine hide each other: units and programs below /usr/local come first.
check_method() {
    owner=$(package_manager)
    case $method in
        tar)
            [ -z "$owner" ] || fail "rke2 was installed here as a package ($owner)" \
                "set INSTALL_RKE2_METHOD=$owner, or remove the packages first"
            choose_prefix
            ;;
        *)
            for place in /usr/local /opt/rke2; do
                [ ! -e "$place/bin/rke2" ] || fail "rke2 was installed here without packages, in $place" \
                    "set INSTALL_RKE2_METHOD=tar, or remove it first (rke2-uninstall.sh removes the node, too)"
            done
            # busybox has programs of these names that cannot do it.
            if [ "$method" = rpm ]; then tool=rpm; else tool=dpkg; fi
            "$tool" --version >/dev/null 2>&1 || fail "the program $tool is missing" "set INSTALL_RKE2_METHOD=tar"
            prefix=/usr
            ;;
    esac
}

# Which package manager has rke2-common, if any.
package_manager() {
    if command -v rpm >/dev/null && rpm -q rke2-common >/dev/null 2>&1; then
        echo rpm
    elif command -v dpkg-query >/dev/null &&
        dpkg-query -W -f '${db:Status-Abbrev}' rke2-common 2>/dev/null | grep -q '^ii'; then
        echo deb
    fi
}

choose_prefix() {
    [ -z "$prefix" ] || return 0
    prefix=/usr/local
    if is_mount_point /usr/local || ! is_writable /usr/local; then
        prefix=/opt/rke2
        echo "/usr/local is read-only or a mount point: installing in $prefix"
    fi
}

is_mount_point() {
    awk -v place="$1" '$2 == place { found = 1 } END { exit !found }' /proc/self/mounts
}

# By writing: root may write everywhere, but on a read-only file system.
is_writable() {
    place=$1
    while [ ! -d "$place" ]; do place=$(dirname "$place"); done
    probe=$(mktemp -d "$place/.rke2-probe.XXXXXX" 2>/dev/null) && rmdir "$probe"
}

# --- where it comes from ------------------------------------------------------------------------------------------
choose_source() {
    if [ -n "$directory" ]; then
        [ -d "$directory" ] || fail "INSTALL_RKE2_ARTIFACT_PATH=$directory is not a directory"
    elif [ -z "$base" ]; then
        directory=$(cd "$(dirname "$0")" && pwd)
        [ -f "$directory/$sums" ] || fail "there is nothing to install: no release beside this script" \
            "set INSTALL_RKE2_ARTIFACT_PATH (a directory) or INSTALL_RKE2_ARTIFACT_URL (a base)"
    fi
}

find_release() {
    if [ -n "$directory" ]; then
        [ -f "$directory/$sums" ] || fail "$directory/$sums is missing: nothing can be verified" \
            "copy it from where the other files come from"
        cp "$directory/$sums" "$scratch/$sums"
        return
    fi
    base=${base%/}
    [ -n "$version" ] || version=$(version_of_channel)
    is_version "$version" || fail "INSTALL_RKE2_VERSION=$version is not a version" "write it like v1.36.4+rke2py1"
    download "$(url "$sums")" "$scratch/$sums" || fail "there is no release $version: $(url "$sums"): $reason" \
        "see INSTALL_RKE2_VERSION and INSTALL_RKE2_ARTIFACT_URL"
}

# In URLs a plus sign may mean a space.
url() {
    echo "$base/$(echo "$version" | sed 's/+/%2B/g')/$(echo "$1" | sed 's/+/%2B/g; s/~/%7E/g')"
}

# A channel is a file whose text is a version, or a redirect to an address whose last part is one.
version_of_channel() {
    channel=${INSTALL_RKE2_CHANNEL:-stable}
    address=${INSTALL_RKE2_CHANNEL_URL:-$base/channels}
    address=${address%/}/$channel
    redirect=$(redirect_of "$address")
    found=$(last_part "$redirect")
    if ! is_version "$found"; then
        download "$address" "$scratch/channel" || fail "there is no channel $channel: $address: $reason" \
            "see INSTALL_RKE2_CHANNEL and INSTALL_RKE2_CHANNEL_URL, or set INSTALL_RKE2_VERSION"
        found=$(head -n 1 "$scratch/channel" | tr -d '\r')
    fi
    is_version "$found" || fail "the channel $channel names no version: $address" "set INSTALL_RKE2_VERSION"
    echo "$found"
}

last_part() {
    echo "${1##*/}" | sed 's/%2[Bb]/+/g'
}

is_version() {
    echo "$1" | grep -Eq '^v[0-9]+\.[0-9]+\.[0-9]+[-+.A-Za-z0-9]*$'
}

redirect_of() {
    if command -v curl >/dev/null; then
        curl -s -o /dev/null -w '%{redirect_url}' -- "$1" 2>/dev/null || :
    elif command -v wget >/dev/null; then
        wget -S -q -O /dev/null -- "$1" 2>&1 | tr -d '\r' | sed -n 's/^ *[Ll]ocation: \([^ ]*\).*/\1/p' | head -n 1
    fi
}

# Downloads $1 into the file $2; the reason of a failure is in $reason.
download() {
    if command -v curl >/dev/null; then
        curl -fsSL --retry 2 -o "$2" -- "$1" 2>"$scratch/reason" && return
    elif command -v wget >/dev/null; then
        wget -q -O "$2" -- "$1" 2>"$scratch/reason" && return
    else
        fail "a release can only be downloaded with curl or wget" \
            "install one, or copy the release here and set INSTALL_RKE2_ARTIFACT_PATH"
    fi
    reason=$(tail -n 1 "$scratch/reason")
    reason=${reason:-not to be had}
    return 1
}

# --- what is verified before anything is changed ------------------------------------------------------------------
expected() {
    awk -v name="$1" '{ file = $2; sub(/^\*/, "", file) } file == name { print $1; exit }' "$scratch/$sums"
}

names() {
    awk '{ sub(/^\*/, "", $2); print $2 }' "$scratch/$sums"
}

# Fetches the file $1 of the release, or finds it in the directory, and verifies it. $2: where downloads go.
get() {
    want=$(expected "$1")
    [ -n "$want" ] || fail "$sums does not name $1: it cannot be verified" "take all files from one release"
    if [ -n "$directory" ]; then
        [ -f "$directory/$1" ] || fail "$directory/$1 is missing" "copy it there; $sums names it"
        verify "$directory/$1" "$want"
    else
        download "$(url "$1")" "${2:-$scratch}/$1" || fail "$(url "$1") cannot be downloaded: $reason"
        verify "${2:-$scratch}/$1" "$want"
    fi
}

verify() {
    got=$(sha256sum <"$1")
    [ "${got%% *}" = "$2" ] || fail "$1 is damaged: its checksum is not the one in $sums" \
        "copy or download it again; nothing was changed"
}

# Where `get` left the file $1.
place_of() {
    if [ -n "$directory" ]; then echo "$directory/$1"; else echo "${2:-$scratch}/$1"; fi
}

get_images() {
    [ "${INSTALL_RKE2_SKIP_IMAGES:-}" != true ] || return 0
    refuse_unnamed_archives
    wanted=
    for name in $(names | grep '^rke2-images' | grep -v '\.txt$'); do
        is_foreign "$name" || wanted="$wanted $name"
    done
    [ -n "$wanted" ] || fail "this release has no image archives" \
        "set INSTALL_RKE2_SKIP_IMAGES=true if the node pulls from a registry"
    for name in $wanted; do
        is_there "$name" || get "$name" "$(downloads)"
    done
}

refuse_unnamed_archives() {
    [ -n "$directory" ] || return 0
    for archive in "$directory"/rke2-images*; do
        case $archive in *.txt) continue ;; esac
        [ -e "$archive" ] || continue
        [ -n "$(expected "${archive##*/}")" ] || fail "$sums does not name $archive: it cannot be verified" \
            "move it away, or add its checksum"
    done
}

# Whether an archive is of a CNI plugin that is not chosen: the node would import it for nothing.
is_foreign() {
    for plugin in $plugins; do
        case $1 in
            rke2-images-"$plugin".*)
                case ",${INSTALL_RKE2_CNI:-canal}," in *",$plugin,"*) return 1 ;; *) return 0 ;; esac
                ;;
        esac
    done
    return 1
}

# Whether the node has this very archive already; then it stays as it is, and is not imported again.
is_there() {
    [ -f "$images/$1" ] && got=$(sha256sum <"$images/$1") && [ "${got%% *}" = "$(expected "$1")" ]
}

# Beside the archives' place and on its file system, where a running node does not look.
downloads() {
    if [ ! -d "${images%/*}/.rke2-install.$$" ]; then
        first_missing "${images%/*}" >"$scratch/made"
        mkdir -p "${images%/*}/.rke2-install.$$"
    fi
    echo "${images%/*}/.rke2-install.$$"
}

# The uppermost directory of path $1 that is not there.
first_missing() {
    missing=
    path=$1
    while [ -n "$path" ] && [ ! -d "$path" ]; do
        missing=$path
        path=${path%/*}
    done
    echo "$missing"
}

find_packages() {
    case $method in
        rpm) ends="-[0-9].*-${INSTALL_RKE2_RPM_RELEASE_VERSION:-0}\\.x86_64\\.rpm" ;;
        deb) ends="_[0-9].*_amd64\\.deb" ;;
    esac
    packages=
    for part in common "$type"; do
        name=$(names | grep -E "^rke2-$part$ends\$" | head -n 1)
        [ -n "$name" ] || fail "this release has no .$method of rke2-$part" "set INSTALL_RKE2_METHOD=tar"
        get "$name"
        packages="$packages ./$name"
    done
}

# --- versions -----------------------------------------------------------------------------------------------------
# Refuses to go from the installed version to an older one. $1: the new version.
check_version() {
    if [ -n "$version" ] && [ "$version" != "$1" ]; then
        fail "INSTALL_RKE2_VERSION=$version, but the release is $1" "unset it, or take the other release"
    fi
    version=$1
    installed=$(installed_version)
    [ -n "$installed" ] && [ "${INSTALL_RKE2_ALLOW_DOWNGRADE:-}" != true ] || return 0
    is_older "$version" "$installed" || return 0
    fail "$version is older than the installed $installed; a node's data may not be readable for it" \
        "set INSTALL_RKE2_ALLOW_DOWNGRADE=true if you have a backup"
}

installed_version() {
    if [ -s "$prefix/share/rke2/version" ]; then
        head -n 1 "$prefix/share/rke2/version"
    elif [ -x "$prefix/bin/rke2" ]; then
        "$prefix/bin/rke2" --version 2>/dev/null | awk '$1 == "rke2" && $2 == "version" { print $3; exit }'
    fi
}

# Whether version $1 precedes $2: by numbers, then release candidates before the release, then the build's number,
# which says something only among builds of one kind (rke2py1, rke2py2).
is_older() {
    printf '%s\n%s\n' "$1" "$2" | awk '
        {
            text = $0
            sub(/^v/, "", text)
            build[NR] = ""
            if (at = index(text, "+")) { build[NR] = substr(text, at + 1); text = substr(text, 1, at - 1) }
            candidate[NR] = ""
            if (at = index(text, "-")) { candidate[NR] = substr(text, at + 1); text = substr(text, 1, at - 1) }
            split(text, number, ".")
            for (i = 1; i <= 3; i++) part[NR, i] = number[i] + 0
        }
        function trailing(word) { match(word, /[0-9]*$/); return substr(word, RSTART) + 0 }
        function kind(word) { sub(/[0-9]*$/, "", word); return word }
        END {
            for (i = 1; i <= 3; i++) if (part[1, i] != part[2, i]) exit !(part[1, i] < part[2, i])
            if (candidate[1] != candidate[2]) {
                if (candidate[2] == "") exit 0
                if (candidate[1] == "") exit 1
                if (kind(candidate[1]) != kind(candidate[2])) exit !(candidate[1] < candidate[2])
                exit !(trailing(candidate[1]) < trailing(candidate[2]))
            }
            exit !(kind(build[1]) == kind(build[2]) && trailing(build[1]) < trailing(build[2]))
        }'
}

# --- putting it in place ------------------------------------------------------------------------------------------
prepare_tar() {
    get "$program.tar.gz"
    made=$(first_missing "$prefix")
    staging=$prefix/.rke2-install.$$
    mkdir -p "$staging" 2>/dev/null ||
        fail "$prefix cannot be written to" "choose another place with INSTALL_RKE2_TAR_PREFIX"
    tar -xzf "$(place_of "$program.tar.gz")" -C "$staging" 2>"$scratch/reason" ||
        fail "$program.tar.gz cannot be unpacked in $prefix: $(tail -n 1 "$scratch/reason")"
    for path in bin/rke2 share/rke2/version share/rke2/10-images.yaml; do
        [ -f "$staging/$path" ] || fail "$program.tar.gz is not a release of rke2 for this script: no $path in it"
    done
    check_version "$(head -n 1 "$staging/share/rke2/version")"
    chown -R 0:0 "$staging"
}

install_tar() {
    made=
    rewrite_units
    install_drop_in "$staging/share/rke2/10-images.yaml"
    keep_environment
    # The program comes last but for what says which version it is: who is interrupted begins again.
    find "$staging" -type f ! -path '*/bin/rke2' ! -path '*/share/rke2/version' | while read -r file; do
        put "$file" "$prefix/${file#"$staging"/}"
    done
    put "$staging/bin/rke2" "$prefix/bin/rke2"
    put "$staging/share/rke2/version" "$prefix/share/rke2/version"
}

# By a rename on one file system: what runs keeps the old file.
put() {
    mkdir -p "${2%/*}"
    mv -f "$1" "$2"
}

# systemd reads units below /usr and /usr/local; those of any other prefix go where it looks, too.
rewrite_units() {
    case $prefix in
        /usr/local) return 0 ;;
        /usr) target=$staging/lib/systemd/system ;;
        *)
            mkdir -p "$system_units"
            target=$system_units
            ;;
    esac
    for role in server agent; do
        unit=$staging/lib/systemd/system/rke2-$role.service
        sed "s|/usr/local|$prefix|g" "$unit" >"$target/.rke2-$role.service.new"
        rm -f "$unit"
        mv -f "$target/.rke2-$role.service.new" "$target/rke2-$role.service"
    done
}

# An operator's own variables for the units.
keep_environment() {
    for role in server agent; do
        if [ -f "$prefix/lib/systemd/system/rke2-$role.env" ]; then
            rm -f "$staging/lib/systemd/system/rke2-$role.env"
        fi
    done
}

# The names of the images belong to the release; a file that an operator has changed stays.
install_drop_in() {
    mkdir -p "${drop_in%/*}"
    if [ ! -f "$drop_in" ] || is_unchanged; then
        cp "$1" "${drop_in%/*}/.10-images.yaml.part"
        chmod 644 "${drop_in%/*}/.10-images.yaml.part"
        mv -f "${drop_in%/*}/.10-images.yaml.part" "$drop_in"
    elif ! cmp -s "$1" "$drop_in"; then
        cp "$1" "$drop_in.new"
        warn "$drop_in was changed here and stays; the names of this release's images are in $drop_in.new"
    fi
}

is_unchanged() {
    if [ -f "$prefix/share/rke2/10-images.yaml" ]; then
        cmp -s "$prefix/share/rke2/10-images.yaml" "$drop_in"
    else
        head -n 1 "$drop_in" | grep -q '^# The images of this build'
    fi
}

prepare_rpm() {
    find_packages
    check_version "$(from_package_version "$(rpm -qp --nosignature --qf '%{VERSION}' "$(place_of "$name")")")"
}

prepare_deb() {
    find_packages
    check_version "$(from_package_version "$(dpkg-deb -f "$(place_of "$name")" Version)")"
}

install_rpm() {
    cd "${directory:-$scratch}"
    # shellcheck disable=SC2086 # a list of files
    rpm -U --oldpackage --replacepkgs $packages || fail "rpm has refused the packages; see its message above"
}

install_deb() {
    cd "${directory:-$scratch}"
    # shellcheck disable=SC2086 # a list of files
    DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold -i $packages ||
        fail "dpkg has refused the packages; see its message above"
}

# 1.36.4~rc1~rke2py1 -> v1.36.4-rc1+rke2py1
from_package_version() {
    echo "v$1" | sed 's/~\([^~]*\)$/+\1/; s/~/-/'
}

install_images() {
    [ "${INSTALL_RKE2_SKIP_IMAGES:-}" != true ] || return 0
    mkdir -p "$images"
    for name in $wanted; do
        is_there "$name" && continue
        if [ -n "$directory" ]; then
            cp "$directory/$name" "$images/.rke2-install.$$" || fail "$images: $name cannot be copied" "free space there"
        else
            mv -f "$(downloads)/$name" "$images/.rke2-install.$$"
        fi
        chmod 644 "$images/.rke2-install.$$"
        # Whole at once: a node that runs imports what appears in this directory.
        mv -f "$images/.rke2-install.$$" "$images/$name"
    done
}

restore_contexts() {
    [ "${INSTALL_RKE2_SKIP_RESTORECON:-}" != true ] && command -v restorecon >/dev/null || return 0
    restorecon -R -i "$prefix/bin" "$prefix/share/rke2" "$prefix/lib/systemd/system" || :
}

reload() {
    [ "${INSTALL_RKE2_SKIP_RELOAD:-}" != true ] && [ -d /run/systemd/system ] || return 0
    systemctl daemon-reload || warn "systemd does not reload; run: systemctl daemon-reload"
}

# --- what is said -------------------------------------------------------------------------------------------------
tell() {
    echo "rke2 $version is installed in $prefix"
    if [ -d "$prefix/lib/rke2" ]; then
        echo "$prefix/lib/rke2 is of an installation from source; nothing needs it once the node was restarted"
    fi
    if pid=$(running); then
        echo "the node that runs here (process $pid) keeps the version it was started with until it is restarted"
        if [ -d /run/systemd/system ]; then echo "restart it with: systemctl restart rke2-$type"; fi
    elif [ -d /run/systemd/system ]; then
        echo "start it with: systemctl enable --now rke2-$type"
    else
        echo "there is no systemd here; start it with: $prefix/bin/rke2 $type"
    fi
}

# The process of the node, if one runs.
running() {
    pid=$(tr -dc 0-9 2>/dev/null <"${RKE2_DATA_DIR:-/var/lib/rancher/rke2}/rke2.lock") || return 1
    [ -n "$pid" ] && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -Eq 'rke2 (server|agent)' && echo "$pid"
}

need() {
    command -v "$1" >/dev/null || fail "the program $1 is missing" "install it"
}

warn() {
    echo "install.sh: warning: $1" >&2
}

# $2: what to do about it.
fail() {
    echo "install.sh: error: $1" >&2
    if [ -n "${2:-}" ]; then echo "            hint: $2" >&2; fi
    exit 1
}

# Nothing is left of an installation that was refused: no directory that was made for it either.
clean_up() {
    if [ -n "$staging" ]; then rm -rf "$staging"; fi
    if [ -n "$made" ]; then remove_empty "$prefix" "$made"; fi
    [ -n "$scratch" ] || return 0
    rm -rf "${images%/*}/.rke2-install.$$" "$images/.rke2-install.$$"
    first=$(cat "$scratch/made" 2>/dev/null) || first=
    if [ -n "$first" ]; then remove_empty "${images%/*}" "$first"; fi
    rm -rf "$scratch"
}

# Removes the empty directories from $1 up to $2, which is above it or the same.
remove_empty() {
    path=$1
    while rmdir "$path" 2>/dev/null && [ "$path" != "$2" ]; do path=${path%/*}; done
}

main
exit
