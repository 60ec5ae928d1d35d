"""HelmChart and HelmChartConfig as this controller reads them."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from rke2.addons.helm.names import DELETE, INSTALL
from rke2.config.places import with_keys
from rke2.errors import RKE2Error
from rke2.kube.duration import format_duration, parse_duration
from rke2.kube.objects import Object, annotations_of, metadata, name_of, namespace_of

T = TypeVar("T")


class ChartError(RKE2Error):
    """A HelmChart or HelmChartConfig that no job can be made of."""


class LocalReference(msgspec.Struct, frozen=True):
    """A LocalObjectReference."""

    name: str = ""


class SecretValues(msgspec.Struct, frozen=True, rename="camel"):
    """Values taken from keys of a Secret."""

    name: str = ""
    keys: tuple[str, ...] = ()
    ignore_updates: bool = False


class Overridable(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Fields of both kinds; those of the HelmChartConfig win."""

    values: Any = None
    values_content: str = ""
    values_secrets: tuple[SecretValues, ...] = ()
    failure_policy: str = ""
    server_side: str = ""


class ConfigSpec(Overridable, frozen=True, rename="camel", kw_only=True):
    """HelmChartConfig.spec."""

    force_conflicts: bool | None = None


class ChartSpec(Overridable, frozen=True, rename="camel", kw_only=True):
    """HelmChart.spec."""

    force_conflicts: bool = False
    target_namespace: str = ""
    create_namespace: bool = False
    chart: str = ""
    version: str = ""
    repo: str = ""
    repo_ca: str = msgspec.field(default="", name="repoCA")
    repo_ca_config_map: LocalReference | None = msgspec.field(default=None, name="repoCAConfigMap")
    set: dict[str, Any] = {}
    helm_version: str = ""
    bootstrap: bool = False
    take_ownership: bool = False
    chart_content: str = ""
    job_image: str = ""
    back_off_limit: int | None = None
    timeout: str = ""
    auth_secret: LocalReference | None = None
    auth_pass_credentials: bool = False
    insecure_skip_tls_verify: bool = msgspec.field(default=False, name="insecureSkipTLSVerify")
    plain_http: bool = msgspec.field(default=False, name="plainHTTP")
    docker_registry_secret: LocalReference | None = None
    pod_security_context: Object | None = None
    security_context: Object | None = None
    driver: str = "secret"


class Chart(msgspec.Struct, frozen=True):
    """A HelmChart: where it is, whether it is being deleted, and its spec."""

    name: str
    namespace: str
    spec: ChartSpec
    deleting: bool = False
    content_url: str = ""

    @classmethod
    def read(cls, obj: Object) -> Chart:
        """Raises ChartError if the spec is malformed."""
        return cls(
            name=name_of(obj),
            namespace=namespace_of(obj),
            spec=_convert(obj, ChartSpec),
            deleting="deletionTimestamp" in metadata(obj),
            content_url=annotations_of(obj).get("helm.cattle.io/chart-url", ""),
        )

    @property
    def release_namespace(self) -> str:
        """Where the release is, and its records."""
        return self.spec.target_namespace or self.namespace

    @property
    def job_name(self) -> str:
        return f"{DELETE if self.deleting else INSTALL}-{self.name}"

    @property
    def supported(self) -> bool:
        return self.spec.helm_version in ("", "v3")

    @property
    def timeout(self) -> str:
        """The timeout in Go's canonical form; empty for helm's own default. Raises ChartError."""
        try:
            return format_duration(parse_duration(self.spec.timeout)) if self.spec.timeout else ""
        except ValueError as error:
            raise ChartError(f"spec.timeout: {error}") from error


def read_config(obj: Object | None) -> ConfigSpec:
    """The spec of a HelmChartConfig, or an empty one. Raises ChartError if it is malformed."""
    return _convert(obj, ConfigSpec) if obj else ConfigSpec()


def _convert(obj: Object, kind: type[T]) -> T:
    spec = {key: value for key, value in (obj.get("spec") or {}).items() if value is not None}
    try:
        return msgspec.convert(spec, kind)
    except msgspec.ValidationError as error:
        raise ChartError(f"{obj['kind']} {name_of(obj)}: spec: {with_keys(error, spec, kind)}") from error
