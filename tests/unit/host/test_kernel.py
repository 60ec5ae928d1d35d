import os
from pathlib import Path

import pytest

from rke2.host.kernel import HARDENED_SYSCTLS, has_module, load_modules, prepare, set_sysctls, wrong_sysctls


def sysctl(root: Path, name: str, value: int) -> Path:
    path = root / "proc/sys" / name.replace(".", "/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{value}\n")
    return path


def test_sets_only_what_differs(tmp_path: Path) -> None:
    right, wrong = sysctl(tmp_path, "net.a", 1), sysctl(tmp_path, "net.b", 0)
    right.chmod(0o444)
    before = right.stat().st_mtime_ns
    assert set_sysctls({"net.a": 1, "net.b": 1}, tmp_path) == []
    assert wrong.read_text() == "1\n"
    assert right.stat().st_mtime_ns == before


def test_what_cannot_be_set_is_said_and_the_rest_is_done(tmp_path: Path) -> None:
    there = sysctl(tmp_path, "net.there", 0)
    problems = set_sysctls({"net.absent": 1, "net.there": 1}, tmp_path)
    assert problems == ["sysctl net.absent = 1 was not set: No such file or directory"]
    assert there.read_text() == "1\n"


def test_loaded_modules_are_not_loaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "sys/module/nft_expr_counter").mkdir(parents=True)
    assert load_modules(["nft-expr-counter"], tmp_path) == []


def test_without_modprobe_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    problems = load_modules(["overlay", "br_netfilter"], tmp_path)
    assert problems == ["kernel modules overlay, br_netfilter were not loaded: there is no modprobe"]


@pytest.mark.parametrize(
    ("script", "said"), [("exit 0", []), ("echo 'not permitted' >&2; exit 1", ["not permitted"])]
)
def test_modprobe_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: list[str]
) -> None:
    program = tmp_path / "modprobe"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    problems = load_modules(["overlay"], tmp_path)
    assert (tmp_path / "calls").read_text() == "--quiet overlay\n"
    assert [problem.rpartition(": ")[2] for problem in problems] == said


@pytest.mark.parametrize("ipv6", [False, True])
def test_ipv6_is_touched_only_when_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ipv6: bool) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = "\n".join(prepare(ipv6, {"net.netfilter.nf_conntrack_max": 5}, root=tmp_path))
    assert ("ip6table_nat" in said) is ("net.ipv6.conf.all.forwarding" in said) is ipv6
    assert "net.netfilter.nf_conntrack_max = 5" in said


def test_hardening_names_what_is_wrong(tmp_path: Path) -> None:
    for name, value in HARDENED_SYSCTLS.items():
        sysctl(tmp_path, name, value)
    assert wrong_sysctls(HARDENED_SYSCTLS, tmp_path) == {}
    sysctl(tmp_path, "kernel.panic", 0)
    (tmp_path / "proc/sys/vm/panic_on_oom").unlink()
    assert wrong_sysctls(HARDENED_SYSCTLS, tmp_path) == {"kernel.panic": 0, "vm.panic_on_oom": None}


def test_a_module_is_there_if_loaded_built_in_or_on_disk(tmp_path: Path) -> None:
    (tmp_path / "sys/module/ip_vs").mkdir(parents=True)
    kept = tmp_path / "lib/modules" / os.uname().release
    kept.mkdir(parents=True)
    (kept / "modules.builtin").write_text("kernel/net/ip-vs-rr.ko\n")
    (kept / "modules.dep").write_text("kernel/net/ip_vs_wrr.ko.xz: kernel/net/ip_vs.ko.xz\n")
    assert has_module("ip_vs", tmp_path)
    assert has_module("ip_vs_rr", tmp_path)
    assert has_module("ip_vs_wrr", tmp_path)
    assert not has_module("ip_vs_sh", tmp_path)
