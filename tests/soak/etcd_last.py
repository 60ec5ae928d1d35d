"""A server whose release brings a later etcd: ``python -m tests.soak.etcd_last``; both release lines must be built.

Boots a server of the 1.36 line and takes it through everything that `rke2.etcd.held` and ``rke2 upgrade finish`` do:
on, back and forward with the etcd of before, a missing image, finish, refused data, undo. Most of it is done with an
archive that has the later etcd alone; the content of the whole 1.37 line comes last, and the way back by a snapshot.
Ends at the first step that fails.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from pathlib import Path

from rke2.config.paths import Paths
from rke2_lab.follow import until_ready
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.restart.server import Server
from tests.soak import etcd_images

LABS = Path("/var/tmp/rke2-tests")
BUILD = Path(__file__).resolve().parents[2] / "build"
FORMER, LATER = BUILD / "dist", BUILD / "v1.37/dist"
OLD_IMAGE, NEW_IMAGE = "docker.io/rke2py/hardened-etcd:v3.6.14", "docker.io/rke2py/hardened-etcd:v3.7.3"
LEAST = """
ingress-controller: none
disable: [rke2-snapshot-controller, rke2-snapshot-controller-crd, rke2-metrics-server, rke2-runtimeclasses]
"""
"""What is left is network and names."""
DROP_IN = Paths().config_dir / "config.yaml.d/90-etcd.yaml"
SNAPSHOTS = Paths().snapshots
SECONDS = 900.0
"""For a start with other images: all of them are imported, and every chart is rolled out."""
_VERSION = re.compile(r'^etcd_server_version\{server_version="([^"]+)"\} 1', re.MULTILINE)
_GET = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"


def booted(lab: Lab) -> Server:
    """A server of the 1.36 line, running; the etcd of the 1.37 line lies in an archive on its disk."""
    node = LabNode(lab.add_host("server-0"))
    node.configure()
    node.place_content(FORMER)
    node.host.write_file(Paths().config_dir / "config.yaml", LEAST)
    with tempfile.TemporaryDirectory(dir=LABS) as room:
        place_later_etcd(node, Path(room))
    server = Server(node)
    begin(server)
    return server


def place_later_etcd(node: LabNode, room: Path) -> None:
    archive = etcd_images.write_archive(room / "etcd.tar", LATER / "bin", NEW_IMAGE)
    node.host.place_file(archive, Paths().images / "later-etcd.tar")


def begin(server: Server) -> None:
    server.start()
    assert server.process
    until_ready(server.node, server.process, SECONDS)


def restarted(server: Server, *, later: bool) -> None:
    """Start it again, with a release that brings the later etcd or without."""
    assert server.terminate() == 0
    bring(server, later=later)
    begin(server)


def bring(server: Server, *, later: bool) -> None:
    server.node.host.write_file(DROP_IN, f"etcd-image: {NEW_IMAGE}\n" if later else "{}\n")


def etcd_of(server: Server) -> str:
    """What etcd says that it is."""
    host = server.node.host
    metrics = host.exec([host.python, "-c", _GET, "http://127.0.0.1:2381/metrics"], timeout=60).stdout
    found = _VERSION.search(metrics)
    return found[1] if found else ""


def is_former(server: Server) -> bool:
    return etcd_of(server).startswith("3.6.")


def etcd_stays_what_it_was(server: Server) -> None:
    assert is_former(server)
    before = server.pids("etcd")
    restarted(server, later=True)
    assert is_former(server)
    assert server.pids("etcd") == before, "it was not restarted"
    assert server.status().etcd_held == "3.6.14"
    assert 'etcd v3.6.14 held until "rke2 upgrade finish"' in server.node.rke2("status").stdout


def the_way_back_and_forward_needs_nothing(server: Server) -> None:
    restarted(server, later=False)
    assert is_former(server)
    assert server.status().etcd_held == ""
    restarted(server, later=True)
    assert is_former(server)


def a_missing_image_is_told_before_anything_is_touched(server: Server) -> None:
    """Nothing on this host has a registry."""
    before = server.pids("etcd")
    # From the store alone: the container that runs keeps its files.
    removed = server.node.rke2("ctr", "-n", "k8s.io", "images", "rm", OLD_IMAGE)
    assert removed.returncode == 0, removed.stderr
    core = server.node.host.path(Paths().images / "rke2-images-core.linux-amd64.tar.zst")
    aside = core.rename(core.parent.parent / "core.aside")
    assert server.terminate() == 0
    server.start()
    assert server.process
    assert server.process.wait(SECONDS) == 1
    error = server.status().error
    assert "which has last run the data of this server, is not on this node" in error
    assert "nothing was touched" in error
    assert server.pids("etcd") == before
    aside.rename(core)
    begin(server)
    assert is_former(server)


def finish_raises_it_behind_a_snapshot(server: Server) -> None:
    asked = server.node.rke2("upgrade", "finish")
    assert asked.returncode == 1
    assert "does not start on" in asked.stdout, "what cannot be undone is said first"
    done = server.node.rke2("upgrade", "finish", "--yes", timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert etcd_of(server) == "3.7.3"
    saved = server.node.host.path(SNAPSHOTS).glob("before-etcd-3.6-*")
    assert list(saved)
    assert server.process
    until_ready(server.node, server.process, SECONDS)
    assert server.status().etcd_held == ""
    again = server.node.rke2("upgrade", "finish", "--yes", timeout=SECONDS)
    assert "nothing is left to do" in again.stdout


def the_former_release_refuses_the_data_in_words(server: Server) -> None:
    before = server.pids("etcd")
    assert server.terminate() == 0
    bring(server, later=False)
    server.start()
    assert server.process
    assert server.process.wait(SECONDS) == 1
    assert "etcd 3.6 of this release does not start on them; nothing was changed" in server.status().error
    assert server.pids("etcd") == before
    bring(server, later=True)
    begin(server)
    assert etcd_of(server) == "3.7.3"


def undo_leads_back(server: Server) -> None:
    done = server.node.rke2("upgrade", "finish", "--undo", "--yes", timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert is_former(server)
    assert server.process
    until_ready(server.node, server.process, SECONDS)
    restarted(server, later=False)
    assert is_former(server)


def kubernetes_is_raised_and_etcd_after_it(server: Server) -> None:
    assert server.terminate() == 0
    server.node.host.write_file(DROP_IN, "{}\n")
    server.node.place_content(LATER)
    begin(server)
    versions = server.node.kubectl(
        "get", "nodes", "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}"
    )
    assert versions.stdout.startswith("v1.37.")
    assert is_former(server)
    done = server.node.rke2("upgrade", "finish", "--yes", timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert etcd_of(server) == "3.7.3"


def a_snapshot_leads_back_to_the_former_release(server: Server) -> None:
    """docs/backup.md, *Rollback of an upgrade*: behind the point of no return."""
    node = server.node
    taken = max(node.host.path(SNAPSHOTS).glob("before-etcd-3.6-*"), key=lambda path: path.stat().st_mtime)
    assert node.kubectl("create", "configmap", "after-the-upgrade").returncode == 0
    assert server.terminate() == 0
    node.place_content(FORMER)
    done = node.rke2(
        "server", "--cluster-reset", f"--cluster-reset-restore-path={SNAPSHOTS / taken.name}", timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    begin(server)
    assert is_former(server)
    versions = node.kubectl("get", "nodes", "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}")
    assert versions.stdout.startswith("v1.36.")
    assert node.kubectl("get", "configmap", "after-the-upgrade").returncode == 1


STEPS = (
    etcd_stays_what_it_was,
    the_way_back_and_forward_needs_nothing,
    a_missing_image_is_told_before_anything_is_touched,
    finish_raises_it_behind_a_snapshot,
    the_former_release_refuses_the_data_in_words,
    undo_leads_back,
    kubernetes_is_raised_and_etcd_after_it,
    a_snapshot_leads_back_to_the_former_release,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", nargs="*", metavar="NAME", help="only these, in their order")
    wanted = parser.parse_args().steps
    with gone_afterwards(new_lab(LABS, f"t{os.getpid()}hold")) as lab:
        server = booted(lab)
        for step in STEPS:
            if not wanted or step.__name__ in wanted:
                begun = time.monotonic()
                step(server)
                print(f"{step.__name__}: {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
