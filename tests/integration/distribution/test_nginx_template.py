"""nginx.conf as this distribution has it written: what comes from Ingresses is quoted."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from distribution.builder import gomodules, lines, patches, recipes, toolchain, trees
from distribution.builder.places import Places
from distribution.builder.recipes import Recipe

pytestmark = [pytest.mark.content]

NUMBERS = {
    "$cors.CorsMaxAge",
    "$externalAuth.KeepaliveConnections",
    "$externalAuth.KeepaliveRequests",
    "$externalAuth.KeepaliveTimeout",
    "$location.Proxy.BuffersNumber",
    "$location.Proxy.ConnectTimeout",
    "$location.Proxy.NextUpstreamTimeout",
    "$location.Proxy.NextUpstreamTries",
    "$location.Proxy.ReadTimeout",
    "$location.Proxy.SendTimeout",
    "$location.ProxySSL.VerifyDepth",
    "$location.Redirect.Code",
    "$server.CertificateAuth.ValidationDepth",
    "$server.ProxySSL.VerifyDepth",
}
BOOLEANS = {"$cors.CorsAllowCredentials", "$externalAuth.KeepaliveShareVars"}
MADE_BY_THE_CONTROLLER = {
    "$location.BasicDigestAuth.File",
    "$location.DefaultBackendUpstreamName",
    "$location.Mirror.Source",
    "$location.ProxySSL.CAFileName",
    "$location.ProxySSL.CASHA",
    "$location.ProxySSL.PemFileName",
    "$rl.ID",
    "$rl.Name",
    "$server.CertificateAuth.CAFileName",
    "$server.CertificateAuth.CASHA",
    "$server.CertificateAuth.CRLFileName",
    "$server.CertificateAuth.CRLSHA",
    "$server.ProxySSL.CAFileName",
    "$server.ProxySSL.CASHA",
    "$server.ProxySSL.PemFileName",
}
VALIDATED_BY_THE_API_SERVER = {"$redirect.From", "$redirect.To", "$server.Hostname"}
SNIPPETS = {
    "$externalAuth.AuthSnippet",
    "$location.ConfigurationSnippet",
    "$server.ServerSnippet",
}
SEVERAL_WORDS_OR_A_CHOICE = {
    "$cors.CorsAllowHeaders": "cors-allow-headers",
    "$cors.CorsAllowMethods": "cors-allow-methods",
    "$cors.CorsExposeHeaders": "cors-expose-headers",
    "$location.ClientBodyBufferSize": "client-body-buffer-size",
    "$location.Proxy.BodySize": "proxy-body-size",
    "$location.Proxy.BufferSize": "proxy-buffer-size",
    "$location.Proxy.CookieDomain": "proxy-cookie-domain",
    "$location.Proxy.CookiePath": "proxy-cookie-path",
    "$location.Proxy.ProxyBuffering": "proxy-buffering",
    "$location.Proxy.ProxyHTTPVersion": "proxy-http-version",
    "$location.Proxy.ProxyMaxTempFileSize": "proxy-max-temp-file-size",
    "$location.Proxy.ProxyRedirectFrom": "proxy-redirect-from",
    "$location.Proxy.RequestBuffering": "proxy-request-buffering",
    "$location.ProxySSL.Protocols": "proxy-ssl-protocols",
    "$server.ProxySSL.Protocols": "proxy-ssl-protocols",
}
"""Not quoted: held by the annotations' own validation and by ``_patched/fit.go``, which must know the annotation."""


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return recipes.load(lines.sources().components / "ingress-nginx")


@pytest.fixture(scope="module")
def template(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("trees")
    trees.write(recipe, Places.default().go_mod, out)
    return (out / "nginx/template/nginx.tmpl").read_text()


def test_whatever_an_ingress_says_is_quoted_or_has_a_reason_not_to_be(template: str) -> None:
    written = r"\{\{-?\s*(\$(?:location|server|externalAuth|cors|redirect|rl)\.[\w.]+)\s*-?\}\}"
    found = set(re.findall(written, template))
    known = NUMBERS | BOOLEANS | MADE_BY_THE_CONTROLLER | VALIDATED_BY_THE_API_SERVER | SNIPPETS
    assert found - known - set(SEVERAL_WORDS_OR_A_CHOICE) == set()
    assert set(SEVERAL_WORDS_OR_A_CHOICE) - found == set(), "what is quoted by now"


def test_what_is_not_quoted_is_looked_at_by_the_controller(recipe: Recipe) -> None:
    fit = (recipe.directory / "_patched/fit.go").read_text()
    looked_at = set(re.findall(r'"([a-z0-9-]+)": true', fit))
    assert set(SEVERAL_WORDS_OR_A_CHOICE.values()) - looked_at == set()


def test_what_the_code_renders_is_quoted(recipe: Recipe, tmp_path: Path) -> None:
    places = Places.default()
    environment = toolchain.inherited_environment() | {
        "GOMODCACHE": str(places.go_mod),
        "PATH": os.environ["PATH"],
    }
    copy = patches.apply(recipe, tmp_path, environment)
    code = (copy / f"_modules/{recipe.module}/internal/ingress/controller/template/template.go").read_text()
    for rendered in (
        '"~* %q", "^"+path',
        '"= %q", path',
        "rewrite %q %q break;",
        "proxy_set_header %q %q;",
        "proxy_set_header Host %q;\nproxy_pass %q;",
    ):
        assert code.count(rendered) == 1, rendered


def test_the_policy_lists_what_the_controller_reads(recipe: Recipe) -> None:
    """An annotation that a new version reads must get a type; one that it reads no longer must go."""
    places = Places.default()
    module = gomodules.directory(recipe.directory, recipe.module, places.go_mod)
    read: set[str] = set()
    for path in (module / "internal/ingress/annotations").rglob("*.go"):
        code = path.read_text()
        constants = dict(re.findall(r'(\w+)\s*=\s*"([a-z0-9-]+)"', code))
        aliases = ",".join(re.findall(r"AnnotationAliases:\s*\[\]string\{([^}]*)\}", code))
        named = re.findall(r"^\t\t(\w+): \{", code, re.MULTILINE) + re.findall(r"\w+", aliases)
        read |= (
            {constants[name] for name in named if name in constants} if "_test" not in path.name else set()
        )
    chart = (places.charts / "rke2-ingress-nginx/templates/_annotations.tpl").read_text()
    typed = {name for line in re.findall(r'^  "\w+" "(.*)"$', chart, re.MULTILINE) for name in line.split()}
    assert read - typed == {name for name in read if name.endswith("-snippet")}
    assert typed - read == {"auth-secret"}, "its constant carries a comment"
