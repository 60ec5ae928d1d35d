"""RPM packages, made by rpmbuild from one spec."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from distribution.builder.tarstream import EPOCH
from distribution.packages import layout, scripts, staging, texts
from distribution.packages.layout import PARTS, ROLES, File, Part

RELEASE = "0"

# What rpmbuild would do to programs (strip, look for libraries, compile Python) is not for a finished executable, and
# what it would write of the machine that builds makes packages differ.
_HEAD = """\
%global debug_package %{{nil}}
%global __os_install_post %{{nil}}
%global _build_id_links none
%global _buildhost localhost
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1
%global _binary_payload w6.gzdio
Name: rke2-common
Version: {version}
Release: {release}
Summary: {summary}
License: Apache-2.0
AutoReqProv: no
%description
{description}
"""
_ROLE = """
%package -n rke2-{part}
Summary: {summary}
Requires: rke2-common = %{{version}}-%{{release}}
AutoReqProv: no
%description -n rke2-{part}
{description}
%post -n rke2-{part}
{reload}%preun -n rke2-{part}
if [ "$1" = 0 ]; then
    {stop}fi
%postun -n rke2-{part}
{reload}"""
_INSTALL = """
%install
cp -a {staged}/. %{{buildroot}}/
"""


def name(part: Part, version: str) -> str:
    """The file name of a package."""
    return f"rke2-{part}-{version}-{RELEASE}.x86_64.rpm"


def build(files: Iterable[File], version: str, scratch: Path, target: Path) -> None:
    """Write a package for each part into `target`.

    Args:
        version: of `layout.package_version`.
        scratch: an empty directory.
    """
    everything, staged = [*files], scratch / "staged"
    staging.stage(everything, staged)
    spec = scratch / "rke2.spec"
    spec.write_text(_spec(everything, version, staged))
    _rpmbuild(spec, scratch)
    for part in PARTS:
        (scratch / "RPMS/x86_64" / name(part, version)).replace(target / name(part, version))


def _spec(files: list[File], version: str, staged: Path) -> str:
    common = {"description": texts.DESCRIPTION}
    head = _HEAD.format(version=version, release=RELEASE, summary=texts.SUMMARIES["common"], **common)
    roles = [
        _ROLE.format(
            part=part,
            summary=texts.SUMMARIES[part],
            reload=scripts.RELOAD,
            stop=scripts.stop(part),
            **common,
        )
        for part in ROLES
    ]
    return "".join([head, *roles, _INSTALL.format(staged=staged), *(_listed(files))])


def _listed(files: list[File]) -> Iterator[str]:
    for part in PARTS:
        yield f"\n%files -n rke2-{part}\n%defattr(-,root,root)\n"
        own = [file for file in files if file.part == part]
        for directory in layout.directories(own):
            yield f"%dir /{directory}\n"
        for file in own:
            yield f"{'%config(noreplace) ' if file.config else ''}/{file.path}\n"


def _rpmbuild(spec: Path, scratch: Path) -> None:
    command = [
        "rpmbuild",
        "-bb",
        "--quiet",
        "--target",
        "x86_64",
        "--define",
        f"_topdir {scratch}",
        str(spec),
    ]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
