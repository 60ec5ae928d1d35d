"""Against the real `go`, offline: the module proxy is a directory."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest
import yaml

from distribution.builder import modulefiles
from distribution.builder.errors import DistributionError, RecipeError

MODULE, VERSION = "example.com/crds", "v1.2.0"
RECIPE = f"""
name = "demo"
version = "{VERSION}"
purpose = "a test"
license = "Apache-2.0"
module = "{MODULE}"
[[binary]]
name = "demo"
package = "{MODULE}"
"""
COPY = """
[[copy]]
component = "demo"
files = "config/*.yaml"
into = "templates/crds/"
"""


@pytest.fixture
def chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A chart beside a recipe whose module has two files in ``config``."""
    if not shutil.which("go"):
        pytest.skip("Go is not installed")
    proxy = tmp_path / "proxy" / MODULE / "@v"
    proxy.mkdir(parents=True)
    (proxy / f"{VERSION}.info").write_text(f'{{"Version": "{VERSION}"}}')
    (proxy / f"{VERSION}.mod").write_text(f"module {MODULE}\n")
    with zipfile.ZipFile(proxy / f"{VERSION}.zip", "w") as archive:
        for name, text in {
            "go.mod": f"module {MODULE}\n",
            "config/a.yaml": "a",
            "config/b.yaml": "{{b}}",
            "helm/Chart.yaml": "name: upstream",
            "helm/README.md": "long",
            "helm/templates/sub/a.yaml": "{{ .Values.a }}",
            "helm/values.yaml": "a: {b: 1, c: [1, 2]}\nd: null\n",
        }.items():
            archive.writestr(f"{MODULE}@{VERSION}/{name}", text)
    recipe = tmp_path / "components/demo"
    recipe.mkdir(parents=True)
    (recipe / "recipe.toml").write_text(RECIPE)
    (recipe / "go.mod").write_text(f"module rke2.io/demo\n\ngo 1.26.0\n\nrequire {MODULE} {VERSION}\n")
    monkeypatch.setenv("GOPROXY", (tmp_path / "proxy").as_uri())
    monkeypatch.setenv("GONOSUMDB", "*")
    (tmp_path / "chart/templates/crds").mkdir(parents=True)
    return tmp_path / "chart"


def collect(chart: Path, listing: str) -> dict[str, bytes]:
    (chart / "from-modules.toml").write_text(listing)
    return modulefiles.collect(chart, chart.parent / "components", chart.parent / "go-mod")


def test_a_chart_without_listing_has_none(tmp_path: Path) -> None:
    assert modulefiles.collect(tmp_path, tmp_path, tmp_path) == {}


def test_files_come_from_the_pinned_module_and_render_as_they_are(chart: Path) -> None:
    assert collect(chart, COPY) == {
        "templates/crds/a.yaml": b"a",
        "templates/crds/b.yaml": b'{{ "{{" }}b}}',
    }


def test_outside_of_templates_nothing_is_escaped(chart: Path) -> None:
    assert collect(chart, COPY.replace("templates/crds/", "crds"))["crds/b.yaml"] == b"{{b}}"


def test_a_pattern_without_files_is_an_error(chart: Path) -> None:
    with pytest.raises(RecipeError, match=r"'none/\*' matches nothing in example\.com/crds"):
        collect(chart, COPY.replace("config/*.yaml", "none/*"))


def test_a_file_is_never_replaced(chart: Path) -> None:
    with pytest.raises(RecipeError, match=r"templates/crds/a\.yaml is there already"):
        collect(chart, COPY + COPY)
    (chart / "templates/crds/b.yaml").touch()
    with pytest.raises(RecipeError, match=r"templates/crds/b\.yaml is there already"):
        collect(chart, COPY)


def test_a_module_that_cannot_be_had_is_named(chart: Path) -> None:
    shutil.rmtree(chart.parent / "proxy")
    with pytest.raises(
        DistributionError, match=r"demo/go\.mod: cannot get example\.com/crds: .*no such file"
    ):
        collect(chart, COPY)


WHOLE = """
[[chart]]
component = "demo"
files = "helm"
without = ["README*"]
"""


def test_a_whole_chart_keeps_its_templates_and_gives_way_to_our_files(chart: Path) -> None:
    (chart / "Chart.yaml").write_text("name: ours")
    (chart / "values.yaml").write_text("a: {c: [3], e: 4}\nd: {f: 5}\n")
    found = collect(chart, WHOLE)
    assert found.keys() == {"templates/sub/a.yaml", "values.yaml"}
    assert found["templates/sub/a.yaml"] == b"{{ .Values.a }}"
    assert yaml.safe_load(found["values.yaml"]) == {"a": {"b": 1, "c": [3], "e": 4}, "d": {"f": 5}}


def test_a_whole_chart_that_is_not_there_is_an_error(chart: Path) -> None:
    with pytest.raises(RecipeError, match=r"'charts' is no directory of example\.com/crds"):
        collect(chart, WHOLE.replace('"helm"', '"charts"'))
