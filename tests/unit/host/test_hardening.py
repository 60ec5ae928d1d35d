"""What a profile asks of a host: told in one message, done once, and nothing the second time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rke2.errors import HostError
from rke2.host import hardening
from rke2.host.files import write_atomic
from rke2.host.hardening import changes, require
from rke2.host.kernel import HARDENED_SYSCTLS


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A root with the kernel's defaults and without a user etcd."""
    for name, value in {"vm.overcommit_memory": 0, "vm.panic_on_oom": 0, "kernel.panic": 0}.items():
        path = tmp_path / "proc/sys" / name.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    (tmp_path / "proc/sys/kernel/panic_on_oops").write_text("1\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\netcdx:x:9:9::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\n")
    (tmp_path / "etc/shadow").write_text("root:*:::::::\n")
    (tmp_path / "etc/gshadow").write_text("root:*::\n")
    return tmp_path


def test_all_that_is_wrong_is_in_one_message(host: Path) -> None:
    with pytest.raises(HostError) as caught:
        require("cis", HARDENED_SYSCTLS, accounts=True, root=host)
    assert caught.value.message == (
        "the host is not as profile cis asks: "
        "invalid kernel parameter value vm.overcommit_memory=0 - expected 1; "
        "invalid kernel parameter value kernel.panic=0 - expected 10; "
        "missing required: user: unknown user etcd; missing required: group: unknown group etcd"
    )
    assert "rke2 prepare-host --profile cis" in caught.value.remedy


def test_a_host_that_is_right_is_let_through(host: Path) -> None:
    for change in changes(HARDENED_SYSCTLS, accounts=True, root=host):
        change.do()
    require("cis", HARDENED_SYSCTLS, accounts=True, root=host)


def test_what_was_done_is_not_done_again(host: Path) -> None:
    todo = changes(HARDENED_SYSCTLS, accounts=True, root=host)
    assert [change.shown.split(",")[0] for change in todo] == [
        "write /etc/sysctl.d/60-rke2-cis.conf",
        "set sysctl vm.overcommit_memory = 1",
        "set sysctl kernel.panic = 10",
        "add the system group etcd",
        "add the system user etcd",
    ]
    for change in todo:
        change.do()
    assert changes(HARDENED_SYSCTLS, accounts=True, root=host) == []
    entry = next(line for line in (host / "etc/passwd").read_text().splitlines() if line.startswith("etcd:"))
    assert entry.endswith(":/sbin/nologin")


def test_a_value_that_is_right_only_until_the_next_boot_is_written_down(host: Path) -> None:
    for name, value in HARDENED_SYSCTLS.items():
        (host / "proc/sys" / name.replace(".", "/")).write_text(f"{value}\n")
    [change] = changes(HARDENED_SYSCTLS, accounts=False, root=host)
    assert change.shown.startswith("write /etc/sysctl.d/60-rke2-cis.conf")


def test_a_file_of_the_operator_that_says_the_same_is_left(host: Path) -> None:
    packaged = Path(__file__).parents[3] / "packaging/rke2-cis-sysctl.conf"
    file = host / hardening.SYSCTL_FILE
    file.parent.mkdir(parents=True)
    file.write_text(packaged.read_text())
    assert not any("write" in change.shown for change in changes(HARDENED_SYSCTLS, accounts=False, root=host))


def test_the_profile_etcd_asks_for_no_kernel_settings(host: Path) -> None:
    assert all("system" in change.shown for change in changes({}, accounts=True, root=host))


@pytest.mark.root
def test_a_file_that_is_written_again_stays_whose_it_was(tmp_path: Path) -> None:
    """A certificate that is renewed under the profile is still one that etcd can read."""
    file = tmp_path / "server.key"
    write_atomic(file, "old")
    os.chown(file, 990, 991)
    assert write_atomic(file, "new")
    assert (file.stat().st_uid, file.stat().st_gid) == (990, 991)
    assert file.stat().st_mode & 0o777 == 0o600
