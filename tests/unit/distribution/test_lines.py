"""A line fills its versions in, lays its own files over the common ones, and shares what is the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from distribution.builder import keys, lines, recipes, release
from distribution.builder.errors import DistributionError, RecipeError
from distribution.builder.places import DEFAULT_LINE, Places

LINE = """
revision = "rke2py1"

[components]
kubernetes = "v1.36.4"
"""
NEXT = """
base = "v1.36"
revision = "rke2py1"

[components]
kubernetes = "v1.37.2"
"""
RECIPE = """
name = "{name}"
version = "{version}"
purpose = "for tests"
license = "Apache-2.0"
module = "example.com/{name}"
ldflags = ["-X a={version}", "-X b={number}", "-X c={minor}"]
cgo_ldflags = "-L${{OUT}}"

[[binary]]
name = "{name}"
package = "example.com/{name}"
"""
TEMPLATE = {"version": "${version}", "number": "${number}", "minor": "${minor}"}
FILLED = {"version": "v1.36.4", "number": "1.36.4", "minor": "36"}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A repository with a recipe for all lines, one of our own code, an image and two lines."""
    root = tmp_path / "repository/distribution"
    for name, version in (("kubernetes", TEMPLATE), ("pause", FILLED)):
        directory = root / "components" / name
        directory.mkdir(parents=True)
        (directory / "recipe.toml").write_text(RECIPE.format(name=name, **version))
        (directory / "go.mod").write_text("of 1.36")
    for part in ("images/bases", "charts", "hosts", "onefile", "releases/v1.37/components/kubernetes"):
        (root / part).mkdir(parents=True)
    (root / "images/runtime.toml").write_text('tag = "${tag}"\nother = "${OUT}"\n')
    (root / "charts/demo").mkdir()
    (root / "charts/demo/values.yaml").write_text("tag: ${kubernetes.version}\n")
    (root / "charts/demo/template.yaml").write_text("tag: ${kubernetes.version}\n")
    (root / "release.toml").write_text("")
    (root / "releases/v1.36.toml").write_text(LINE)
    (root / "releases/v1.37.toml").write_text(NEXT)
    (root / "releases/v1.37/components/kubernetes/go.mod").write_text("of 1.37")
    return Places(tmp_path / "repository", tmp_path / "cache")


def laid_out(places: Places, line: str = DEFAULT_LINE) -> Places:
    of_line = Places(places.repository, places.cache, line)
    return lines.lay_out(of_line, lines.load(of_line))


def test_a_recipe_is_byte_for_byte_what_one_with_its_version_written_in_is(places: Places) -> None:
    directory = laid_out(places).components / "kubernetes"
    assert (directory / "recipe.toml").read_text() == RECIPE.format(name="kubernetes", **FILLED)
    written = places.components / "written"
    shutil.copytree(places.components / "kubernetes", written)
    (written / "recipe.toml").write_text(RECIPE.format(name="kubernetes", **FILLED))
    assert keys.of_tree(directory) == keys.of_tree(written)
    assert recipes.load(directory).version == "v1.36.4"


def test_a_recipe_whose_version_is_not_filled_in_is_refused(places: Places) -> None:
    with pytest.raises(RecipeError, match="laid out"):
        recipes.load(places.components / "kubernetes")


def test_the_release_is_an_image_s_tag(places: Places) -> None:
    assert lines.load(places).version == "v1.36.4+rke2py1"
    text = (laid_out(places).images / "runtime.toml").read_text()
    assert text == 'tag = "v1.36.4-rke2py1"\nother = "${OUT}"\n'


def test_a_chart_can_name_any_component(places: Places) -> None:
    chart = laid_out(places, "v1.37").charts / "demo"
    assert (chart / "values.yaml").read_text() == "tag: v1.37.2\n"
    assert (chart / "template.yaml").read_text() == "tag: ${kubernetes.version}\n"


def test_a_line_has_files_of_its_own_and_the_others_in_common(places: Places) -> None:
    first, second = laid_out(places), laid_out(places, "v1.37")
    assert (first.components / "kubernetes/go.mod").read_text() == "of 1.36"
    assert (second.components / "kubernetes/go.mod").read_text() == "of 1.37"
    assert recipes.load(second.components / "kubernetes").version == "v1.37.2"
    assert (first.components / "pause/recipe.toml").samefile(second.components / "pause/recipe.toml")
    own = lines.load(Places(places.repository, places.cache, "v1.37")).own
    assert own == {"kubernetes"}
    assert lines.load(places).own == frozenset()


def test_what_lines_build_does_not_replace_each_other(places: Places) -> None:
    first, second = laid_out(places), laid_out(places, "v1.37")
    assert first.artifacts == places.cache / "artifacts" == second.for_all_lines.artifacts
    assert second.artifacts == places.cache / "artifacts/v1.37"
    assert second.for_all_lines.components == second.components
    build = places.repository / "build"
    assert (first.dist, second.dist) == (build / "dist", build / "v1.37/dist")


def test_a_changed_or_removed_source_is_laid_out_again(places: Places) -> None:
    (places.components / "pause/old.go").write_text("old")
    assert (laid_out(places).components / "pause/old.go").exists()
    (places.components / "pause/old.go").unlink()
    recipe = places.components / "kubernetes/recipe.toml"
    recipe.write_text(recipe.read_text().replace("for tests", "for other tests"))
    found = laid_out(places)
    assert not (found.components / "pause/old.go").exists()
    assert recipes.load(found.components / "kubernetes").purpose == "for other tests"
    assert "${version}" in recipe.read_text(), "the source itself was filled in"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("releases/v1.36.toml", "[components]", '[components]\netcd = "v3"', "etcd has no recipe that takes"),
        ("components/pause/recipe.toml", "v1.36.4", "${version}", "pause is not pinned"),
        ("releases/v1.36.toml", 'kubernetes = "v1.36.4"', "", "kubernetes is missing"),
        ("releases/v1.36.toml", "revision", "revison", "unknown field `revison`|missing required field"),
        ("charts/demo/values.yaml", "kubernetes.", "etcd.", r"\$\{etcd.version\} has no value here"),
        ("images/runtime.toml", "${tag}", "${version}", r"runtime.toml: \$\{version\} has no value here"),
    ],
)
def test_a_line_that_does_not_fit_is_refused(
    places: Places, file: str, old: str, new: str, message: str
) -> None:
    path = places.distribution / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(RecipeError, match=message):
        laid_out(places)


def test_debian_s_packages_are_the_same_in_all_lines(places: Places) -> None:
    base = places.lines / "v1.37/images/bases/debian.toml"
    base.parent.mkdir(parents=True)
    base.write_text("")
    with pytest.raises(RecipeError, match="the same in all lines"):
        laid_out(places, "v1.37")


def test_an_unknown_line_is_refused_with_those_that_are_there(places: Places) -> None:
    with pytest.raises(DistributionError, match=r"no release line 'v1.35' \(there are: v1.36, v1.37\)"):
        lines.load(Places(places.repository, places.cache, "v1.35"))


@pytest.mark.parametrize("line", lines.names(Places.default()))
def test_every_line_of_the_repository_fits_together(line: str, tmp_path: Path) -> None:
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    plan = release.load(Places(Places.default().repository, tmp_path, line))
    assert plan.components["kubernetes"].recipe.version == plan.line.kubernetes
    assert plan.line.kubernetes.startswith(f"{line}.")
    common = plan.places.for_all_lines.artifacts
    for name, component in plan.components.items():
        assert component.store.root == (plan.places.artifacts if name in plan.line.own else common), name
