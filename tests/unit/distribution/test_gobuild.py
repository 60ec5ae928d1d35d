from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from distribution.builder import gobuild, toolchain
from distribution.builder.recipes import load
from distribution.builder.toolchain import Toolchain

TOOLS = Toolchain("go1.26.8", "https://proxy.example.com", "sum.golang.org", {"libc6-dev": "2.36"})


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("go.etcd.io/etcd/server/v3", "server"),
        ("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
        ("github.com/opencontainers/runc", "runc"),
        ("v2", "v2"),
    ],
)
def test_go_names_programs_by_the_last_element_that_is_no_major_version(package: str, name: str) -> None:
    assert gobuild.default_name(package) == name


@pytest.mark.parametrize(
    ("configured", "used"),
    [
        ("https://proxy.example.com,direct", "https://proxy.example.com"),
        ("https://a.example.com|https://b.example.com,direct", "https://a.example.com|https://b.example.com"),
        ("https://a.example.com", "https://a.example.com"),
        ("direct", ""),
    ],
)
def test_version_control_hosts_are_never_asked(configured: str, used: str) -> None:
    assert toolchain.without_direct(configured) == used


def test_the_key_changes_with_everything_that_decides_the_result(
    recipe_directory: Callable[[str], Path],
) -> None:
    directory = recipe_directory("some")
    recipe = load(directory)
    key = gobuild.key(recipe, TOOLS)
    assert gobuild.key(load(directory), TOOLS) == key

    other_go = Toolchain("go1.26.9", TOOLS.go_proxy, TOOLS.go_sumdb, TOOLS.packages)
    other_libc = Toolchain(TOOLS.go_version, TOOLS.go_proxy, TOOLS.go_sumdb, {"libc6-dev": "2.37"})
    other_proxy = Toolchain(TOOLS.go_version, "https://other.example.com", "off", TOOLS.packages)
    assert gobuild.key(recipe, other_go) != key
    assert gobuild.key(recipe, other_libc) != key
    assert gobuild.key(recipe, other_proxy) == key

    (directory / "main_test.go").write_text("package main")
    assert gobuild.key(recipe, TOOLS) == key
    (directory / "go.sum").write_text("example.com/dep v1.0.0 h1:x=\n")
    assert gobuild.key(recipe, TOOLS) != key


def test_environment_of_the_user_does_not_reach_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    from distribution.builder.places import Places

    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    monkeypatch.setenv("CGO_CFLAGS", "-O0")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com")
    environment = toolchain.go_environment(TOOLS, Places.default())
    assert environment["GOFLAGS"] == "-modcacherw"
    assert "CGO_CFLAGS" not in environment
    assert environment["HTTPS_PROXY"] == "http://proxy.example.com"
