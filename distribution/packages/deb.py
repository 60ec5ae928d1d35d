"""Debian packages, made by dpkg-deb."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from distribution.builder.tarstream import EPOCH
from distribution.packages import scripts, staging, texts
from distribution.packages.layout import PARTS, File, Part


def name(part: Part, version: str) -> str:
    """The file name of a package."""
    return f"rke2-{part}_{version}_amd64.deb"


def build(files: Iterable[File], version: str, scratch: Path, target: Path) -> None:
    """Write a package for each part into `target`.

    Args:
        version: of `layout.package_version`.
        scratch: an empty directory.
    """
    everything = [*files]
    for part in PARTS:
        own = [file for file in everything if file.part == part]
        root = scratch / part
        staging.stage(own, root)
        _control(root / "DEBIAN", own, part, version)
        staging.settle(root)
        _dpkg_deb(root, target / name(part, version))


def _control(directory: Path, files: list[File], part: Part, version: str) -> None:
    sums = "".join(f"{hashlib.md5(file.content).hexdigest()}  {file.path}\n" for file in files)
    written = {"control": _fields(part, version), "md5sums": sums}
    if conffiles := "".join(f"/{file.path}\n" for file in files if file.config):
        written["conffiles"] = conffiles
    for file_name, text in written.items():
        staging.write(directory / file_name, text.encode(), 0o644)
    for script, body in _scripts(part).items():
        staging.write(directory / script, f"#!/bin/sh\nset -e\n{body}".encode(), 0o755)


def _fields(part: Part, version: str) -> str:
    depends = "" if part == "common" else f"Depends: rke2-common (= {version})\n"
    return (
        f"Package: rke2-{part}\nVersion: {version}\nArchitecture: amd64\nMaintainer: {texts.MAINTAINER}\n"
        f"{depends}Section: admin\nPriority: optional\nDescription: {texts.SUMMARIES[part]}\n {texts.DESCRIPTION}\n"
    )


def _scripts(part: Part) -> dict[str, str]:
    if part == "common":
        return {}
    return {
        "postinst": scripts.RELOAD,
        "prerm": f'if [ "$1" = remove ]; then\n    {scripts.stop(part)}fi\n',
        "postrm": scripts.RELOAD,
    }


def _dpkg_deb(root: Path, target: Path) -> None:
    # gzip: the program is compressed already, and its bytes do not depend on the number of cores.
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z6", "--build", str(root), str(target)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
