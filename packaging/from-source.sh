#!/bin/sh
# Installs rke2 from this source tree and the built distribution; `make install` calls it. Nothing is started.
#
# PREFIX     where programs go (/usr/local)
# DESTDIR    put before every path, for building packages
# DIST       the built distribution (build/dist)
# PYTHON     the Python that rke2 will run with, 3.11 or newer (python3)
# INSTALL_RKE2_CNI                the CNI plugins whose images are installed (canal), as in `cni` of config.yaml
# INSTALL_RKE2_AGENT_IMAGES_DIR   where image archives go (/var/lib/rancher/rke2/agent/images)
# INSTALL_RKE2_SKIP_RELOAD        set: do not tell systemd about the units
#
# Python packages come from pip's index; PIP_NO_INDEX and PIP_FIND_LINKS give it a directory instead. Either way only
# those are installed whose hash stands in requirements/runtime.txt.
set -eu

source=$(cd "$(dirname "$0")/.." && pwd)
prefix=${PREFIX:-/usr/local}
destdir=${DESTDIR:-}
dist=${DIST:-$source/build/dist}
python=${PYTHON:-python3}
cni=${INSTALL_RKE2_CNI:-canal}
images=${INSTALL_RKE2_AGENT_IMAGES_DIR:-/var/lib/rancher/rke2/agent/images}
reload=${INSTALL_RKE2_SKIP_RELOAD:+no}

# systemd reads units below /usr and /usr/local; those of any other prefix go where it looks, too.
case $prefix in
    /usr | /usr/local) units=$prefix/lib/systemd/system ;;
    *) units=/etc/systemd/system ;;
esac

main() {
    check
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    install_program
    install_scripts
    install_units
    install_content
    if [ -z "$destdir$reload" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
    echo "rke2 is installed in $prefix; start it with: systemctl enable --now rke2-server"
}

check() {
    "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "$python is not Python 3.11 or newer with venv; install python3-venv or set PYTHON"
    case $prefix in /*) ;; *) fail "PREFIX=$prefix is not an absolute path" ;; esac
    case $destdir in '' | /*) ;; *) fail "DESTDIR=$destdir is not an absolute path" ;; esac
    ls "$dist"/*.tar.* >/dev/null 2>&1 || fail "$dist has no image archives; build them with \`make content\`"
    [ -n "$destdir" ] || [ "$(id -u)" = 0 ] || fail "installing needs root; use sudo, or set DESTDIR"
}

# A virtual environment of its own: nothing of the machine's Python is changed. It is made beside its place, so that
# an installation that fails (no network) leaves the old one as it was.
install_program() {
    place=$prefix/lib/rke2
    new=$destdir$prefix/lib/.rke2.new
    install -d "$destdir$prefix/lib" "$destdir$prefix/bin"
    rm -rf "$new"
    "$python" -m venv "$new"
    copy_source "$scratch/source"
    pip_install --require-hashes --requirement "$source/packaging/requirements/runtime.txt"
    # What builds the program is there, checked: pip would fetch it by itself, unchecked.
    pip_install --no-deps --no-build-isolation "$scratch/source"
    "$new/bin/python" -m pip uninstall -qq --yes --disable-pip-version-check setuptools pip
    "$new/bin/python" -m compileall -q -s "$new" -p "$place" "$new/lib"
    # Programs of a virtual environment name its Python by its path.
    grep -IrlF -- "$new" "$new/bin" "$new/pyvenv.cfg" | xargs sed -i "s|$new|$place|g"
    rm -rf "$destdir${place:?}"
    mv "$new" "$destdir$place"
    ln -sf ../lib/rke2/bin/rke2 "$destdir$prefix/bin/rke2"
}

pip_install() {
    "$new/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "$@"
}

# pip builds in the directory it is given: not in the source tree.
copy_source() {
    mkdir -p "$1/src"
    cp "$source/pyproject.toml" "$source/README.md" "$1"
    cp -R "$source/src/rke2" "$1/src"
    if commit=$(git -C "$source" rev-parse HEAD 2>/dev/null); then
        sed -i "s/^COMMIT = .*/COMMIT = \"$commit\"/" "$1/src/rke2/version.py"
    fi
}

install_scripts() {
    install -m 755 "$source/packaging/rke2-killall.sh" "$source/packaging/rke2-uninstall.sh" "$destdir$prefix/bin"
    install -d "$destdir$prefix/share/rke2"
    install -m 644 "$source/packaging/rke2-cis-sysctl.conf" "$source/packaging/rke2-new-cas.sh" "$destdir$prefix/share/rke2"
    install -m 644 "$source/LICENSE" "$destdir$prefix/share/rke2/LICENSE.txt"
}

install_units() {
    install -d "$destdir$units" "$destdir$prefix/lib/systemd/system"
    for name in rke2-server rke2-agent; do
        sed "s|/usr/local|$prefix|g" "$source/packaging/systemd/$name.service" >"$scratch/$name.service"
        install -m 644 "$scratch/$name.service" "$destdir$units"
        install -m 644 "$source/packaging/systemd/$name.env" "$destdir$prefix/lib/systemd/system"
    done
}

# Archives are put in place whole: a node that runs imports what appears in this directory.
install_content() {
    install -d "$destdir$images" "$destdir/etc/rancher/rke2/config.yaml.d"
    for archive in "$dist"/*.tar.*; do
        is_foreign "$archive" && continue
        cp --reflink=auto "$archive" "$destdir$images/.part"
        mv -f "$destdir$images/.part" "$destdir$images/$(basename "$archive")"
    done
    install -m 644 "$dist/10-images.yaml" "$destdir/etc/rancher/rke2/config.yaml.d"
}

# Whether an archive is of a CNI plugin that is not chosen: the node would import it for nothing.
is_foreign() {
    PYTHONPATH=$source/src "$python" -c 'import sys; from rke2.config.cni import foreign_archive
sys.exit(not foreign_archive(*sys.argv[1:]))' "$(basename "$1")" "$cni"
}

fail() {
    echo "from-source.sh: $1" >&2
    exit 1
}

main
