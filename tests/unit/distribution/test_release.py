from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from distribution.builder import publish, release
from distribution.builder.archives import Archive
from distribution.builder.artifacts import Store
from distribution.builder.errors import RecipeError
from distribution.builder.places import Places
from rke2.config.flags import FLAGS
from rke2.version import KUBERNETES_VERSION, RUNTIME_TAG


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """The repository's own descriptions with an empty cache."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    return Places(Places.default().repository, tmp_path)


def test_the_descriptions_of_the_repository_fit_together(places: Places) -> None:
    plan = release.load(places)
    tasks = {task.name: task for task in release.archive_tasks(plan, plan.plan.archives)}
    assert {"kubernetes", "debian-network", "pause", "helm-job"} <= {*tasks["archive-core"].requires}
    assert "charts" in tasks["archive-runtime"].requires
    assert all(need in tasks for task in tasks.values() for need in task.requires)


def test_the_release_is_the_product_s_version(places: Places) -> None:
    plan = release.load(places)
    assert plan.descriptions["rke2-runtime"].tag == RUNTIME_TAG
    assert plan.components["kubernetes"].recipe.version == KUBERNETES_VERSION


def test_the_drop_in_names_own_images_by_flags_that_exist(places: Places) -> None:
    flags = yaml.safe_load(publish.drop_in(release.load(places)))
    assert flags["runtime-image"] == f"docker.io/rke2py/rke2-runtime:{RUNTIME_TAG}"
    assert flags.keys() <= {flag.name for flag in FLAGS}
    assert all(re.fullmatch(r"docker\.io/rke2py/[a-z0-9-]+:[\w.-]+", value) for value in flags.values())


def test_what_is_built_is_not_built_again(places: Places) -> None:
    plan = release.load(places)
    (core,) = (archive for archive in plan.plan.archives if archive.name == "core")
    with Store(places.artifacts).create("archive-core", plan.archive_key(core)):
        pass
    assert release.archive_tasks(plan, [core]) == []
    pause = plan.component("pause")
    assert [task.name for task in release.component_tasks(plan, [pause])] == ["pause"]
    with Store(places.artifacts).create("pause", pause.key):
        pass
    assert [*release.component_tasks(plan, [pause])] == []


def test_an_optional_archive_and_what_only_it_needs_are_left_out(places: Places) -> None:
    plan = release.load(places)
    assert "cilium" not in {archive.name for archive in plan.wanted(optional=False)}
    usual, all_of_them = (
        {component.name for component in plan.wanted_components(optional)} for optional in (False, True)
    )
    assert all_of_them - usual == {"cilium", "multus", "traefik"}
    assert all_of_them == plan.components.keys()
    assert "cni-plugins" in usual  # which other archives need, too
    usual_tasks = {task.name for task in release.archive_tasks(plan, plan.wanted(optional=False))}
    assert not {"cilium", "clang", "archive-cilium"} & usual_tasks
    assert {"cilium", "clang"} <= {
        task.name for task in release.archive_tasks(plan, [plan.archive("cilium")])
    }


def test_the_network_base_is_one_layer_of_all_its_images(places: Places) -> None:
    plan = release.load(places)
    users = {name for name, image in plan.descriptions.items() if "debian-network" in image.bases}
    assert users == {
        f"hardened-{name}" for name in ("kubernetes", "calico", "flannel", "cilium", "dns-node-cache")
    }


def test_a_name_that_leads_nowhere_is_refused(places: Places, tmp_path: Path) -> None:
    copy = tmp_path / "repository"
    source = places.repository / "distribution"
    for part in ("components", "images", "charts", "hosts", "onefile", "releases"):
        (copy / "distribution").mkdir(parents=True, exist_ok=True)
        (copy / "distribution" / part).symlink_to(source / part)
    plan = (source / "release.toml").read_text()
    (copy / "distribution/release.toml").write_text(plan.replace('"hardened-coredns"', '"hardened-corends"'))
    with pytest.raises(RecipeError, match=r"release.toml: `images`: hardened-corends does not exist"):
        release.load(Places(copy, tmp_path))


def test_publishing_shows_exactly_what_is_built(places: Places, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "distribution").symlink_to(places.repository / "distribution")
    plan = release.load(Places(repository, tmp_path / "cache"))
    (repository / "build/dist").mkdir(parents=True)
    (repository / "build/dist/stale.txt").write_text("x")
    runtime = Archive("runtime", ("rke2-runtime",))
    with plan.store.create("archive-runtime", plan.archive_key(runtime)) as directory:
        (directory / "sbom").mkdir()
        (directory / "sbom/rke2-runtime.spdx.json").write_text("{}")
        (directory / "sha256").write_text("0" * 64)
        for suffix in ("tar.zst", "txt"):
            (directory / f"{runtime.stem}.{suffix}").write_text(suffix)
    publish.publish(plan)
    publish.publish(plan)
    dist = plan.places.dist
    assert sorted(path.relative_to(dist).as_posix() for path in dist.rglob("*") if path.is_file()) == [
        "10-images.yaml",
        "rke2-images-runtime.linux-amd64.tar.zst",
        "rke2-images-runtime.linux-amd64.txt",
        "sbom/rke2-runtime.spdx.json",
        "sha256sum-amd64.txt",
    ]
    line = f"{'0' * 64}  rke2-images-runtime.linux-amd64.tar.zst\n"
    assert (dist / "sha256sum-amd64.txt").read_text() == line
