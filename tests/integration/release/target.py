"""A host that releases are installed on: what the script says, and what it changes."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from typing import Any

from rke2_lab.host import LabHost

PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
RELEASES = "/var/tmp/releases"
PLACES = (
    "/usr/local/bin/rke2* /usr/local/lib/systemd /usr/local/share/rke2 /opt/rke2 /srv /etc/rancher /etc/systemd/system "
    "/var/lib/rancher /tmp"
)
"""Not all of /usr/local: a machine may have much there."""
IMAGES = "/var/lib/rancher/rke2/agent/images"
DROP_IN = "/etc/rancher/rke2/config.yaml.d/10-images.yaml"

_LISTING = f"""
ls -A /usr/local /usr/local/bin
for place in {PLACES}; do
    [ -e "$place" ] || continue
    find "$place" -mindepth 1 ! -type f -exec stat -c '%n %F %a' {{}} +
    find "$place" -mindepth 1 -type f -exec stat -c '%n %i %a' {{}} +
    find "$place" -mindepth 1 -type f -exec sha256sum {{}} +
done | sort
"""


class Target:
    """`host`, with the environment of somebody who logs in there."""

    def __init__(self, host: LabHost) -> None:
        self.host = host
        self.path = PATH

    def install(
        self, version: str = "", script: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the installation script.

        Args:
            version: from the directory of that release.
            script: the script, if it is not the one of that release.
            variables: names without ``INSTALL_RKE2_``.
        """
        if version:
            variables.setdefault("ARTIFACT_PATH", f"{RELEASES}/{version}")
        place = script or f"{RELEASES}/{version or 'v1.36.4+rke2py1'}/install.sh"
        return self.run(["sh", place], {f"INSTALL_RKE2_{name}": text for name, text in variables.items()})

    def installed(self, version: str, **variables: str) -> str:
        """Install, see that it succeeds without a warning; what was said."""
        done = self.install(version, **variables)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    def run(
        self, command: list[str], env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command with the host's own programs only."""
        return self.host.exec(command, env=self.path | dict(env or {}), tools=False, timeout=60)

    def refused(
        self, spoil: str, env: Mapping[str, str], version: str = "v1.36.4+rke2py1"
    ) -> subprocess.CompletedProcess[str]:
        """Run the script on a copy of a release in which something was done, see that it changes nothing.

        Args:
            spoil: a shell script that runs in the copy.
            env: variables of the installation.
        """
        script = f"""
            rm -rf /tmp/* && cp -r {RELEASES}/{version} /tmp/broken && (cd /tmp/broken && {spoil}) || exit 99
            ({_LISTING}) >/var/tmp/before
            sh {RELEASES}/{version}/install.sh
            code=$?
            ({_LISTING}) >/var/tmp/after
            rm -rf /tmp/*
            cmp /var/tmp/before /var/tmp/after || exit 98
            exit $code
        """
        return self.run(["sh", "-c", script], {"INSTALL_RKE2_ARTIFACT_PATH": "/tmp/broken", **env})

    def sh(self, script: str, **options: Any) -> str:
        """Output of a shell script that succeeds."""
        done = self.run(["sh", "-c", script], **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def listing(self) -> list[str]:
        """Everything below the places where an installation may write: kinds, modes, inodes, contents."""
        return self.sh(_LISTING).splitlines()

    def files(self, *places: str) -> dict[str, str]:
        """The files below `places`, with their modes."""
        found = self.sh(f"find {shlex.join(places)} -type f -exec stat -c '%n %a' {{}} + 2>/dev/null || :")
        return dict(line.rsplit(" ", 1) for line in found.splitlines())

    def read(self, path: str) -> str:
        return self.sh(f"cat {shlex.quote(path)}")

    def write(self, path: str, text: str) -> None:
        done = self.host.exec(["sh", "-c", f"mkdir -p $(dirname {path}) && cat > {path}"], input=text)
        assert done.returncode == 0, done.stderr

    def clean(self) -> None:
        """Remove everything that was installed, without the product's own script."""
        installed = (
            "/usr/local/bin/rke2* /usr/local/share/rke2 /usr/local/lib/systemd /opt/rke2 /srv/rke2 /etc/rancher/*",
            "/etc/systemd/system/rke2* /var/lib/rancher/* /tmp/*",
        )
        self.sh(f"rm -rf {' '.join(installed)}; rmdir /etc/systemd/system /etc/systemd /srv 2>/dev/null || :")
