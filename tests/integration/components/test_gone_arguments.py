"""The table of what a minor version no longer takes, and our own command lines, against the real programs.

``RKE2_TEST_CONTENT`` may name what is built of another release line, such as build/v1.37/dist.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Mapping

import pytest

from rke2.components import kubelet_config
from rke2.config import kubernetes
from rke2.config.gone import PROGRAMS
from rke2.config.kubernetes import GONE
from rke2.config.model import NodeConfig
from rke2.staticpods import kube_apiserver, kube_controller_manager, kube_proxy, kube_scheduler
from rke2.staticpods.pod import StaticPod
from tests.binaries import binary
from tests.configs import server_config

pytestmark = pytest.mark.content

FLAGS = [
    (number, program, flag)
    for number, gone in GONE.items()
    for program, flags in gone.flags.items()
    for flag in flags
]
CONTROLLERS = [(number, name) for number, gone in GONE.items() for name in gone.controllers]
GATES = [(number, gate) for number, gone in GONE.items() for gate in sorted(gone.feature_gates)]
PLUGINS = [(number, name) for number, gone in GONE.items() for name in sorted(gone.admission_plugins)]


def said(program: str, *arguments: str) -> str:
    """What `program` says before it ends; nothing it is asked here can start it."""
    done = subprocess.run(
        [binary(program), *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def version() -> str:
    return said("kubelet", "--version").split()[-1]


@pytest.fixture(scope="module")
def minor(version: str) -> int:
    found = re.match(r"v1\.(\d+)\.", version)
    assert found, version
    return int(found[1])


@pytest.mark.parametrize(("number", "program", "flag"), FLAGS)
def test_a_flag_is_there_until_it_is_gone(minor: int, number: int, program: str, flag: str) -> None:
    assert (f"unknown flag: --{flag}" in said(program, f"--{flag}=1", "--help")) == (minor >= number)


def _unknown_controller(name: str) -> str:
    """As the program logs it: quoted, within a text that is quoted itself."""
    return f'\\"{name}\\" is not in the list of known controllers'


@pytest.mark.parametrize(("number", "name"), CONTROLLERS)
def test_a_controller_is_there_until_it_is_gone(minor: int, number: int, name: str) -> None:
    answer = said("kube-controller-manager", f"--controllers=-{name}", "--kubeconfig=/nonexistent")
    assert (_unknown_controller(name) in answer) == (minor >= number), answer


@pytest.mark.parametrize(("number", "gate"), GATES)
def test_a_feature_gate_is_there_until_it_is_gone(minor: int, number: int, gate: str) -> None:
    answer = said("kube-scheduler", f"--feature-gates={gate}=true", "--kubeconfig=/nonexistent")
    assert (f"unrecognized feature gate: {gate}" in answer) == (minor >= number), answer


@pytest.mark.parametrize(("number", "name"), PLUGINS)
def test_an_admission_plugin_is_there_until_it_is_gone(minor: int, number: int, name: str) -> None:
    assert (name not in said("kube-apiserver", "--help")) == (minor >= number)


@pytest.mark.parametrize("program", PROGRAMS)
def test_our_own_command_line_has_only_flags_of_this_version(program: str, version: str) -> None:
    image = f"docker.io/rke2py/rke2-runtime:{version}-rke2py1"
    arguments = [*_own(program, server_config(images={"runtime": image}), f"x/kubernetes:{version}")]
    assert kubernetes.of(image).number == kubernetes.of(f":{version}").number
    flags = [argument for argument in arguments if argument.startswith("--")]
    assert flags
    assert "unknown flag" not in said(program, *flags, "--help")


def _own(program: str, config: NodeConfig, image: str) -> Iterable[str]:
    if program == "kubelet":
        return kubelet_config.arguments(config, cloud_controller=True)
    if program == "kube-controller-manager":
        return kube_controller_manager.pod(config, image, cloud_controller=True).args
    pods: Mapping[str, Callable[..., StaticPod]] = {
        "kube-apiserver": kube_apiserver.pod,
        "kube-scheduler": kube_scheduler.pod,
        "kube-proxy": kube_proxy.pod,
    }
    return pods[program](config, image).args


def test_the_controllers_of_our_own_command_line_exist(version: str) -> None:
    config = server_config(images={"runtime": f"x/rke2-runtime:{version}-rke2py1"})
    given = kube_controller_manager.defaults(config, cloud_controller=True)["controllers"]
    answer = said("kube-controller-manager", f"--controllers={given}", "--kubeconfig=/nonexistent")
    assert "list of known controllers" not in answer


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_tells_a_flag_that_never_was(program: str) -> None:
    """The other tests would pass with a program that says it in other words."""
    assert "unknown flag: --never-was" in said(program, "--never-was=1", "--help")


def test_a_gate_and_a_controller_that_never_were_are_told() -> None:
    kubeconfig = "--kubeconfig=/nonexistent"
    assert "unrecognized feature gate: NeverWas" in said(
        "kube-scheduler", "--feature-gates=NeverWas=true", kubeconfig
    )
    assert _unknown_controller("never-was") in said(
        "kube-controller-manager", "--controllers=-never-was", kubeconfig
    )
