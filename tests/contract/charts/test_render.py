"""The packed charts as the real Helm renders them with the values rke2 injects.

The golden files are what a cluster gets; ``UPDATE_GOLDEN=1`` writes them again.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.binaries import binary
from tests.contract.charts.rendering import DUAL_STACK, Helm
from tests.golden import assert_golden

GOLDEN = Path(__file__).parent / "golden"

WITHOUT_IMAGES = {
    "rke2-calico-crd",
    "rke2-runtimeclasses",
    "rke2-snapshot-controller-crd",
    "rke2-traefik-crd",
}


def refusal(helm: Helm, chart: str, **options: str) -> str:
    """What Helm says when it does not render the chart; `options` are those of `helm`."""
    refused = helm("template", chart, **options)
    assert refused.returncode == 1
    return refused.stderr


def test_every_chart_is_sound_and_renders(archives: dict[str, Path], helm: Helm) -> None:
    for name in archives:
        for sets in ({}, DUAL_STACK):
            linted = helm("lint", name, sets)
            assert linted.returncode == 0, linted.stdout
            assert "WARNING" not in linted.stdout
            rendered = helm("template", name, sets)
            assert rendered.returncode == 0, rendered.stderr
            objects = [each for each in yaml.safe_load_all(rendered.stdout) if each]
            assert all(each["apiVersion"] and each["metadata"]["name"] for each in objects)


def test_every_chart_refuses_an_older_kubernetes(archives: dict[str, Path], helm: Helm) -> None:
    for name in archives:
        assert "requires kubeVersion: >= v1.36.4" in refusal(helm, name, version="1.36.3")


def test_every_image_takes_the_system_default_registry(archives: dict[str, Path], helm: Helm) -> None:
    for name in archives.keys() - WITHOUT_IMAGES:
        rendered = helm("template", name, DUAL_STACK)
        images = [each for doc in yaml.safe_load_all(rendered.stdout) for each in images_of(doc)]
        assert images, name
        assert all(each.startswith("registry.example:5000/rke2py/") for each in images), images


OPEN_CANAL = """
flannel: {healthz: {host: 0.0.0.0}}
calico: {felixPrometheusMetricsHost: 0.0.0.0}
"""


@pytest.mark.parametrize(
    ("values", "host", "asked_at"), [("", "127.0.0.1", "127.0.0.1"), (OPEN_CANAL, "0.0.0.0", None)]
)
def test_canals_ports_are_on_loopback_unless_asked_for(
    values: str, host: str, asked_at: str | None, helm: Helm
) -> None:
    rendered = list(yaml.safe_load_all(helm("template", "rke2-canal", None, values).stdout))
    pod = next(each for each in rendered if each and each["kind"] == "DaemonSet")["spec"]["template"]["spec"]
    felix, flannel = (
        next(c for c in pod["containers"] if c["name"] == n) for n in ("calico-node", "kube-flannel")
    )
    assert f"--healthz-ip={host}" in flannel["args"]
    for probe in ("livenessProbe", "readinessProbe"):
        assert flannel[probe]["httpGet"].get("host") == asked_at
    assert {"name": "FELIX_PROMETHEUSMETRICSHOST", "value": host} in felix["env"]


def images_of(value: Any) -> list[str]:
    """Every ``image`` of a string anywhere in `value`."""
    if isinstance(value, list):
        return [image for each in value for image in images_of(each)]
    if not isinstance(value, dict):
        return []
    own = [value["image"]] if isinstance(value.get("image"), str) else []
    return own + images_of(list(value.values()))


SERVERS = """
servers:
  - zones: [{zone: .}]
    port: 53
    plugins:
      - {name: errors}
      - {name: kubernetes, parameters: in-addr.arpa, configBlock: "pods insecure\\nttl 5\\n"}
      - {name: cache, parameters: 30}
      - {name: prometheus, parameters: ":9253"}
  - zones:
      - {zone: corp.example, scheme: tls://}
      - {zone: lab.example}
    port: 5353
    servicePort: 53530
    hostPort: 5354
    plugins:
      - {name: file, parameters: /etc/coredns/lab.db lab.example}
zoneFiles:
  - filename: lab.db
    domain: lab.example
    contents: |
      lab.example. IN SOA ns. hostmaster. 1 2 3 4 5
      lab.example. IN A 192.0.2.7
extraConfig:
  import: {parameters: /opt/coredns/*.conf}
"""
OPTIONS = """
autoscaler:
  image: {repository: example/cpa, tag: v1.10.3}
  min: "2"
  nodesPerReplica: 0.5
  customFlags: [--nodelabels=a=b]
podDisruptionBudget: {maxUnavailable: 1}
prometheus: {service: {enabled: true}, monitor: {enabled: true, interval: 30s}}
startupProbe: {enabled: false}
image: {pullSecrets: [one, {name: two}]}
service: {clusterIP: 10.43.0.11, annotations: {a: b}}
customLabels: {team: network}
podAnnotations: {note: "yes"}
env: [{name: GOMAXPROCS, value: "1"}]
extraSecrets: [{name: tls, mountPath: /etc/tls}]
extraVolumes: [{name: conf, configMap: {name: conf}}]
extraVolumeMounts: [{name: conf, mountPath: /opt/coredns}]
"""
NODELOCAL = """
nodelocal:
  enabled: true
  ip_address: "fd00:169::10"
  extraClusterDomains: [corp.example]
  image: {pullSecrets: [one]}
"""


@pytest.mark.parametrize(
    ("case", "sets", "values"),
    [
        ("default", {}, ""),
        ("dual-stack", DUAL_STACK, ""),
        ("servers", {"global.clusterDomain": "example.org"}, SERVERS),
        ("options", {}, OPTIONS),
        ("hpa", {}, "hpa: {enabled: true, metrics: []}\nserviceType: NodePort"),
        ("fixed-replicas", {}, "autoscaler: {enabled: false}\nreplicaCount: 3"),
        ("nodelocal", {}, "nodelocal: {enabled: true}"),
        ("nodelocal-dual-stack", DUAL_STACK, NODELOCAL),
        ("nodelocal-ipvs", {}, "nodelocal: {enabled: true, ipvs: true}"),
        ("nodelocal-cilium", {}, "nodelocal: {enabled: true, use_cilium_lrp: true}"),
    ],
)
def test_coredns(case: str, sets: dict[str, str], values: str, helm: Helm) -> None:
    rendered = helm("template", "rke2-coredns", sets, values)
    assert rendered.returncode == 0, rendered.stderr
    assert_golden(GOLDEN / "rke2-coredns" / f"{case}.yaml", rendered.stdout)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("nodelocal: {ipvs: true, use_cilium_lrp: true}", "nodelocal.ipvs and nodelocal.use_cilium_lrp"),
        ("nodelocal: {enabled: true, ip_address: 169.254.20}", 'ip_address: "169.254.20" is not an address'),
        ("autoscaler: {max: many}", 'autoscaler.max: "many" is not a number of 0 or more'),
        ("autoscaler: {min: -1}", 'autoscaler.min: "-1" is not a number of 0 or more'),
        ("autoscaler: {min: 3, max: 2}", "autoscaler.max: 2 is less than autoscaler.min, 3"),
        ("autoscaler: {coresPerReplica: 0, nodesPerReplica: 0}", "set one of them, or autoscaler.enabled"),
        ("autoscaler: {includeUnschedulableNodes: maybe}", '"maybe" is neither true nor false'),
    ],
)
def test_coredns_refuses_what_it_cannot_do(values: str, message: str, helm: Helm) -> None:
    assert message in refusal(helm, "rke2-coredns", values=values)


METRICS = """
args: [--kubelet-insecure-tls]
metrics: {enabled: true}
serviceMonitor: {enabled: true}
podDisruptionBudget: {enabled: true, minAvailable: 0}
apiService: {insecureSkipTLSVerify: false, caBundle: certificate}
tolerations: [{key: dedicated, operator: Exists}]
hostNetwork: {enabled: true}
containerPort: 4443
"""
SNAPSHOTS = """
controller:
  args: {enableDistributedSnapshotting: true, httpEndpoint: ":9090"}
  pdb: {maxUnavailable: 1}
  serviceMonitor: {create: true}
  volumeSnapshotClasses: [{name: fast, driver: csi.example.com, parameters: {tier: ssd}}]
  volumeGroupSnapshotClasses: [{name: groups, driver: csi.example.com, deletionPolicy: Retain}]
"""


@pytest.mark.parametrize(
    ("name", "case", "values"),
    [
        ("rke2-metrics-server", "default", ""),
        ("rke2-metrics-server", "options", METRICS),
        ("rke2-snapshot-controller", "default", ""),
        ("rke2-snapshot-controller", "options", SNAPSHOTS),
        ("rke2-runtimeclasses", "default", ""),
    ],
)
def test_addons(name: str, case: str, values: str, helm: Helm) -> None:
    rendered = helm("template", name, values=values)
    assert rendered.returncode == 0, rendered.stderr
    assert_golden(GOLDEN / name / f"{case}.yaml", rendered.stdout)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("rke2-metrics-server", "addonResizer: {enabled: true}", "addonResizer.enabled is not supported"),
        ("rke2-metrics-server", "tls: {type: helm}", "tls.type helm is not supported by this chart"),
        ("rke2-snapshot-controller", "webhook: {enabled: true}", "webhook.enabled is not supported"),
        ("rke2-runtimeclasses", "runtimeClasses: [{name: crun}]", "crun needs a handler"),
    ],
)
def test_addons_refuse_what_they_cannot_do(name: str, values: str, message: str, helm: Helm) -> None:
    assert message in refusal(helm, name, values=values)


def test_snapshots_have_the_kinds_of_the_controllers_version(helm: Helm) -> None:
    rendered = helm("template", "rke2-snapshot-controller-crd").stdout
    kinds = [each for each in yaml.safe_load_all(rendered) if each]
    served = {
        (each["spec"]["group"], each["spec"]["names"]["kind"]): [
            version["name"] for version in each["spec"]["versions"] if version["served"]
        ]
        for each in kinds
    }
    assert served == {
        ("snapshot.storage.k8s.io", kind): ["v1"]
        for kind in ("VolumeSnapshot", "VolumeSnapshotClass", "VolumeSnapshotContent")
    } | {
        ("groupsnapshot.storage.k8s.io", kind): ["v1", "v1beta1", "v1beta2"]
        for kind in ("VolumeGroupSnapshot", "VolumeGroupSnapshotClass", "VolumeGroupSnapshotContent")
    }


INGRESS_OPTIONS = """
controller:
  kind: Deployment
  replicaCount: 2
  hostPort: {enabled: false}
  service: {enabled: true, externalTrafficPolicy: Local}
  publishService: {enabled: true}
  config: {use-forwarded-headers: "true", proxy-body-size: 8m}
  addHeaders: {X-Frame-Options: DENY}
  proxySetHeaders: {X-From: edge}
  ingressClassResource: {default: true}
  extraArgs: {default-ssl-certificate: kube-system/cert, enable-ssl-passthrough: ""}
  metrics: {enabled: true, serviceMonitor: {enabled: true}}
  tolerations: [{operator: Exists}]
  customTemplate: {configMapName: template, configMapKey: nginx.tmpl}
tcp: {9000: default/db:5432, 9001: default/db:sql:PROXY}
udp: {5353: kube-system/rke2-coredns-rke2-coredns:53}
dhParam: cGVt
"""


@pytest.mark.parametrize(
    ("case", "sets", "values"),
    [
        ("default", {}, ""),
        ("not-default-class", {"global.systemDefaultIngressClass": "traefik"}, ""),
        ("options", {}, INGRESS_OPTIONS),
    ],
)
def test_ingress_nginx(case: str, sets: dict[str, str], values: str, helm: Helm) -> None:
    rendered = helm("template", "rke2-ingress-nginx", sets, values)
    assert rendered.returncode == 0, rendered.stderr
    assert_golden(GOLDEN / "rke2-ingress-nginx" / f"{case}.yaml", rendered.stdout)


def policy_of(helm: Helm, values: str = "") -> dict[str, str]:
    """The expressions of the policy for Ingresses, by the names of its variables and conditions."""
    rendered = helm("template", "rke2-ingress-nginx", values=values)
    assert rendered.returncode == 0, rendered.stderr
    objects = [each for each in yaml.safe_load_all(rendered.stdout) if each]
    spec = next((each["spec"] for each in objects if each["kind"] == "ValidatingAdmissionPolicy"), None)
    return (
        {each["name"]: each["expression"] for each in spec["variables"] + spec["matchConditions"]}
        if spec
        else {}
    )


def test_the_policy_for_ingresses_follows_the_values(helm: Helm) -> None:
    """What its expressions let through: tests/integration/ingress."""
    ours = "of-this-controller"
    assert "== 'nginx' : true" in policy_of(helm)[ours]
    others = "controller: {ingressClass: web, ingressClassByName: true, ingressClassResource: {controllerValue: a.b/c}}"
    assert (
        "params.spec.controller == 'a.b/c' || params.metadata.name == 'web'" in policy_of(helm, others)[ours]
    )
    prefixed = "controller: {extraArgs: {annotations-prefix: ingress.example.com}}"
    assert policy_of(helm, prefixed)["prefix"] == "'ingress.example.com/'"
    assert (
        "'server-snippet': 'snippet'"
        in policy_of(helm, "controller: {allowSnippetAnnotations: true}")["types"]
    )
    assert "server-snippet" not in policy_of(helm)["types"]
    assert policy_of(helm, "controller: {admissionPolicies: {enabled: false}}") == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("controller: {admissionWebhooks: {enabled: true}}", "CVE-2025-1974"),
        (
            "controller: {admissionPolicies: {validationActions: [Refuse]}}",
            '"Refuse" is not one of Deny, Warn, Audit',
        ),
        ('controller: {admissionPolicies: {annotations: {a: "^it\'s$"}}}', "a single quote"),
        ("controller: {admissionPolicies: {annotations: {a: sice}}}", '"sice" is neither a type'),
        ("controller: {kind: StatefulSet}", '"StatefulSet" is not one of DaemonSet, Deployment'),
        ("controller: {config: [a]}", "controller.config must be a map"),
        ("controller: {config: {enable-modsecurity: true}}", "the image has no ModSecurity"),
        (
            "controller: {config: {global-rate-limit-memcached-host: m}}",
            "global rate limits are not supported",
        ),
        ("controller: {autoscaling: {enabled: true}}", "controller.autoscaling is not supported"),
        ("defaultBackend: {enabled: true}", "no image of a default backend is packaged"),
        ("tcp: {http: default/db:1}", 'tcp: "http" is not a port number'),
        ("udp: {53: db}", 'udp.53: "db" is not <namespace>/<service>:<port>'),
    ],
)
def test_ingress_nginx_refuses_what_it_cannot_do(values: str, message: str, helm: Helm) -> None:
    assert message in refusal(helm, "rke2-ingress-nginx", values=values)


TRAEFIK_CLASS = {"global.systemDefaultIngressClass": "traefik"}
TRAEFIK = """
deployment: {kind: Deployment, replicas: 2, podAnnotations: {note: "yes"}, imagePullSecrets: [{name: pull}]}
podDisruptionBudget: {enabled: true, minAvailable: 1}
ingressClass: {name: edge, isDefaultClass: true}
providers:
  kubernetesCRD: {allowCrossNamespace: true, namespaces: [shop, blog]}
  kubernetesIngress: {publishedService: {pathOverride: lb/edge}, ingressEndpoint: {hostname: ""}}
  file: {enabled: true, content: {http: {routers: {}}}}
log: {level: DEBUG, format: json}
accessLog:
  enabled: true
  bufferingSize: 100
  filters: {statusCodes: 500-599}
  fields: {headers: {names: {User-Agent: keep}}}
metrics:
  prometheus: {addRoutersLabels: true, service: {enabled: true}, serviceMonitor: {enabled: true, interval: 30s}}
tracing: {otlp: {enabled: true, http: {enabled: true, endpoint: "http://otel:4318/v1/traces"}, grpc: {enabled: false}}}
api: {enabled: true}
certificatesResolvers:
  internal: {acme: {caServer: "https://ca.example/acme", storage: /data/acme.json, tlsChallenge: true}}
additionalArguments: [--serversTransport.insecureSkipVerify=true]
ports:
  web: {hostPort: null, http: {redirections: {entryPoint: {to: websecure, scheme: https, permanent: true}}}}
  websecure:
    hostPort: null
    nodePort: 30443
    transport: {respondingTimeouts: {readTimeout: 10}}
    http: {maxHeaderBytes: 1048576, tls: {domains: [{main: example.org, sans: [a.example.org, b.example.org]}]}}
  db: {port: 5432, exposedPort: 5432, expose: {default: true}}
  dns: {port: 5353, protocol: UDP, hostPort: 53}
service: {spec: {type: LoadBalancer, externalTrafficPolicy: Local}}
persistence: {enabled: true, existingClaim: acme}
volumes: [{name: certs, mountPath: /certs, type: secret}, {name: conf, mountPath: /conf, type: configMap}]
tlsOptions: {default: {labels: {team: edge}, minVersion: VersionTLS13}}
tlsStore: {default: {defaultCertificate: {secretName: wildcard}}}
tolerations: [{operator: Exists}]
resources: {requests: {cpu: 100m}}
extraObjects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: "{{ .Release.Name }}-extra"}}]
"""
MIGRATION = """
ports: {web: {hostPort: 8000}, websecure: {hostPort: 8443}}
providers:
  kubernetesIngressNginx:
    enabled: true
    ingressClass: rke2-ingress-nginx-migration
    controllerClass: rke2.cattle.io/ingress-nginx-migration
"""


@pytest.mark.parametrize(
    ("case", "sets", "values"),
    [
        ("default", TRAEFIK_CLASS, ""),
        ("not-default-class", {}, ""),
        ("options", TRAEFIK_CLASS, TRAEFIK),
        ("migration", {}, MIGRATION),
    ],
)
def test_traefik(case: str, sets: dict[str, str], values: str, helm: Helm) -> None:
    rendered = helm("template", "rke2-traefik", sets, values)
    assert rendered.returncode == 0, rendered.stderr
    assert_golden(GOLDEN / "rke2-traefik" / f"{case}.yaml", rendered.stdout)


@pytest.mark.parametrize("case", ["default", "options", "migration"])
def test_traefik_knows_the_options_it_is_given(case: str) -> None:
    """`healthcheck` reads them all, then finds nobody who listens."""
    objects = [
        each for each in yaml.safe_load_all((GOLDEN / f"rke2-traefik/{case}.yaml").read_text()) if each
    ]
    (workload,) = (each for each in objects if each["kind"] in ("DaemonSet", "Deployment"))
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    command = (binary("traefik"), "healthcheck", *container["args"])
    asked = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert "failed to decode configuration" not in asked.stdout + asked.stderr


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("deployment: {kind: StatefulSet}", '"StatefulSet" is not one of DaemonSet, Deployment'),
        ("providers: {kubernetesGateway: {enabled: true}}", "the kinds of the Gateway API are not part"),
        ("providers: {knative: {enabled: true}}", "providers.knative.enabled: not supported"),
        ("api: {dashboard: true}", "api.dashboard: its pages are not built here"),
        ("experimental: {plugins: {a: {moduleName: m}}}", "experimental.plugins: plugins are not supported"),
        ("hub: {token: secret}", "hub: not a value of this chart"),
        ("logs: {general: {level: DEBUG}}", "logs: general is now log, access is now accessLog"),
        ("rbac: {namespaced: true}", "rbac.namespaced: not a value of this chart"),
        ("persistence: {enabled: true}", "name a claim in persistence.existingClaim"),
        ("ports: {web: {port: http}}", 'ports.web.port: "http" is not a port number'),
        ("ports: {web: {redirections: {}}}", "ports.web.redirections: it is now http.redirections"),
        ("ports: {websecure: {http3: {enabled: true}}}", "ports.websecure.http3: HTTP/3 is not supported"),
        (
            "ports: {web: {http: {redirections: {entryPoint: {to: tls}}}}}",
            'redirections.entryPoint.to: there is no port "tls"',
        ),
        ("hostNetwork: true", "ports.web.hostPort: with hostNetwork it must be the port itself"),
        ("ports: {metrics: null}", 'metrics.prometheus.entryPoint: there is no port "metrics"'),
    ],
)
def test_traefik_refuses_what_it_cannot_do(values: str, message: str, helm: Helm) -> None:
    assert message in refusal(helm, "rke2-traefik", values=values)


def test_traefik_has_the_kinds_of_its_version(helm: Helm) -> None:
    rendered = yaml.safe_load_all(helm("template", "rke2-traefik-crd").stdout)
    kinds = {(each["spec"]["group"], each["spec"]["names"]["plural"]) for each in rendered if each}
    (role,) = (
        each
        for each in yaml.safe_load_all(helm("template", "rke2-traefik").stdout)
        if each and each["kind"] == "ClusterRole"
    )
    watched = {
        (group, plural)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for plural in rule["resources"]
        if group == "traefik.io"
    }
    assert kinds == watched
    assert len(kinds) == 10


MULTUS = """
image: {tag: v4, pullPolicy: Always}
imagePullSecrets: [{name: pull}]
serviceAccount: {name: networks}
labels: {nodeSelector: {networks: many}}
tolerations: [{key: dedicated, operator: Exists}]
pod: {resources: {enabled: true}}
config:
  cni_conf:
    multusConfFile: auto
    masterCniFilename: 20-mine.conflist
    namespaceIsolation: true
    globalNamespaces: default,shared
    readinessIndicatorFile: /run/flannel/subnet.env
    additionalBinDir: /opt/multus/bin
    cniVersion: 1.0.0
    overrideNetworkName: true
    logLevel: debug
    logFile: /var/log/multus.log
    logToStderr: false
    cleanupConfigOnExit: false
manifests: {customResourceDefinition: false}
cniplugins: {skipcnis: "bridge,vrf"}
rke2-whereabouts: {enabled: false}
"""


@pytest.mark.parametrize(("case", "values"), [("default", ""), ("options", MULTUS)])
def test_multus(case: str, values: str, helm: Helm) -> None:
    rendered = helm("template", "rke2-multus", values=values)
    assert rendered.returncode == 0, rendered.stderr
    assert_golden(GOLDEN / "rke2-multus" / f"{case}.yaml", rendered.stdout)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("rke2-whereabouts: {enabled: true}", "rke2-whereabouts.enabled: whereabouts is not part of"),
        ("thickPlugin: {enabled: true}", "thickPlugin.enabled: the thick plugin is not part of"),
        ("dynamicNetworksController: {enabled: true}", "dynamicNetworksController.enabled: it needs the"),
        ("manifests: {dhcpDaemonSet: true}", "manifests.dhcpDaemonSet: dhcp is not part of this release"),
        ("manifests: {configMap: false}", "manifests.configMap: not a value of this chart"),
        ("dhcpDaemonSet: {image: {tag: v1}}", "dhcpDaemonSet: not a value of this chart"),
        ("config: {daemon_conf: {logLevel: debug}}", "config.daemon_conf: not a value of this chart"),
        ("config: {cni_conf: {renameConfFile: true}}", "config.cni_conf.renameConfFile: not a value"),
        (
            "config: {cni_conf: {confDir: /etc/cni}}",
            "cni_conf.confDir: in this distribution it is always /etc",
        ),
        ("config: {cni_conf: {logLevel: loud}}", '"loud" is not one of verbose, debug, error, panic'),
    ],
)
def test_multus_refuses_what_it_cannot_do(values: str, message: str, helm: Helm) -> None:
    assert message in refusal(helm, "rke2-multus", values=values)


@pytest.mark.parametrize("case", ["default", "options"])
def test_multus_knows_the_options_it_is_given(case: str) -> None:
    """With ``--help`` it reads them all first, and complains of one it does not know."""
    objects = [each for each in yaml.safe_load_all((GOLDEN / f"rke2-multus/{case}.yaml").read_text()) if each]
    (workload,) = (each for each in objects if each["kind"] == "DaemonSet")
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    arguments: list[str] = container["args"]
    options = arguments[arguments.index("/thin_entrypoint") + 1 :]
    command = [str(binary("thin_entrypoint")), *options, "--help"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "--cni-conf-dir" in asked.stderr
    assert "unknown flag" not in asked.stderr


CALICO = """
installation:
  nodeMetricsPort: 9091
  calicoNetwork:
    mtu: 1400
    hostPorts: Disabled
    ipPools:
      - {cidr: 10.1.0.0/16, blockSize: 24, encapsulation: VXLANCrossSubnet, nodeSelector: "!windows"}
      - {cidr: "fd00:1::/48", natOutgoing: Disabled}
    nodeAddressAutodetectionV4: {interface: eth1}
    nodeAddressAutodetectionV6: {cidrs: ["fd89::/64", "fd90::/64"]}
felixConfiguration: {netlinkTimeout: 20s, healthPort: 9199}
whisker: {enabled: false}
"""


@pytest.mark.parametrize(
    ("case", "sets", "values"),
    [("default", {}, ""), ("dual-stack", DUAL_STACK, ""), ("options", {}, CALICO)],
)
def test_calico(case: str, sets: dict[str, str], values: str, helm: Helm) -> None:
    rendered = helm("template", "rke2-calico", sets, values)
    assert rendered.returncode == 0, rendered.stderr
    assert_golden(GOLDEN / "rke2-calico" / f"{case}.yaml", rendered.stdout)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("apiServer: {enabled: true}", "apiServer: this distribution has no Tigera operator"),
        ("installation: {enabled: false}", "installation.enabled"),
        ("installation: {backend: IPIP}", "installation.backend: .IPIP.: without BGP"),
        ("installation: {variant: Calico}", "installation.variant: not a value of this chart"),
        ("installation: {calicoNetwork: {bgp: Enabled}}", "calicoNetwork.bgp: .Enabled.: .* no BGP daemon"),
        ("installation: {calicoNetwork: {linuxDataplane: BPF}}", "linuxDataplane: .BPF.: only Iptables"),
        ("installation: {calicoNetwork: {hostPorts: 'yes'}}", "hostPorts: .yes. is neither Enabled nor"),
        ("installation: {calicoNetwork: {ipPools: [{cidr: x}]}}", r"ipPools\[0\].cidr: .x. is not a network"),
        ("installation: {calicoNetwork: {ipPools: [{name: x}]}}", r"ipPools\[0\].name: not a value"),
        (
            "installation: {calicoNetwork: {ipPools: [{cidr: 10.1.0.0/16}, {cidr: 10.2.0.0/16}]}}",
            r"ipPools\[1\]: a second pool for IPv4",
        ),
        ("felixConfiguration: {bpfEnabled: true}", "felixConfiguration.bpfEnabled"),
        ("felixConfiguration: {chainInsertMode: Append}", "blocks nothing"),
        ("felixConfiguration: {failsafeInboundHostPorts: [1]}", "only single values reach Felix"),
    ],
)
def test_calico_refuses_what_it_cannot_do(values: str, message: str, helm: Helm) -> None:
    refused = refusal(helm, "rke2-calico", values=values)
    assert re.search(message, refused), refused


CILIUM_DEFAULTS = {
    "enable-ipv4": "true",
    "enable-ipv6": "false",
    "kube-proxy-replacement": "false",
    "cni-chaining-mode": "portmap",
    "cni-exclusive": "false",
    "ipam": "kubernetes",
    "enable-hubble": "false",
    "enable-l7-proxy": "false",
    "routing-mode": "tunnel",
    "tunnel-protocol": "vxlan",
}
"""What RKE2's chart sets, and what this release cannot do."""


def cilium(
    helm: Helm, sets: dict[str, str] | None = None, values: str = ""
) -> tuple[dict[str, str], list[Any]]:
    """The agent's configuration and the containers that the chart gives."""
    rendered = helm("template", "rke2-cilium", sets, values)
    assert rendered.returncode == 0, rendered.stderr
    objects = [each for each in yaml.safe_load_all(rendered.stdout) if each]
    config = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    pods = [
        each["spec"]["template"]["spec"] for each in objects if each["kind"] in ("DaemonSet", "Deployment")
    ]
    containers = [each for pod in pods for each in (*pod.get("initContainers", ()), *pod["containers"])]
    return dict(config["ConfigMap", "cilium-config"]["data"]), containers


def test_cilium_is_upstreams_chart_with_our_defaults(helm: Helm) -> None:
    config, containers = cilium(helm)
    assert CILIUM_DEFAULTS.items() <= config.items()
    assert {each["name"] for each in containers} == {
        "cilium-agent",
        "cilium-operator",
        "clean-cilium-state",
        "config",
        "install-cni-binaries",
        "mount-bpf-fs",
        "mount-cgroup",
    }


def test_cilium_follows_the_cluster(helm: Helm) -> None:
    config, _ = cilium(helm, DUAL_STACK)
    assert (config["enable-ipv4"], config["enable-ipv6"]) == ("true", "true")
    config, _ = cilium(helm, {"global.clusterCIDRv4": "", "global.clusterCIDRv6": "fd00:42::/56"})
    assert (config["enable-ipv4"], config["enable-ipv6"]) == ("false", "true")


@pytest.mark.parametrize(
    ("sets", "values", "replaced", "server"),
    [
        ({}, "", "false", None),
        ({"global.disableKubeProxy": "true"}, "", "true", ("127.0.0.1", "6443")),
        ({"global.disableKubeProxy": "true"}, "kubeProxyReplacement: false", "false", None),
        (
            {},
            "kubeProxyReplacement: true\nk8sServiceHost: localhost\nk8sServicePort: 6443",
            "true",
            ("localhost", "6443"),
        ),
    ],
)
def test_cilium_replaces_kube_proxy_where_there_is_none(
    helm: Helm, sets: dict[str, str], values: str, replaced: str, server: tuple[str, str] | None
) -> None:
    config, containers = cilium(helm, sets, values)
    assert config["kube-proxy-replacement"] == replaced
    (agent,) = (each for each in containers if each["name"] == "cilium-agent")
    given = {each["name"]: each.get("value") for each in agent["env"]}
    named = (given.get("KUBERNETES_SERVICE_HOST"), given.get("KUBERNETES_SERVICE_PORT"))
    assert named == (server or (None, None))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("l7Proxy: true", "l7Proxy: needs Envoy, which is not part of this release"),
        ("envoy: {enabled: true}", "envoy.enabled: needs Envoy"),
        (
            "hubble: {enabled: true, relay: {enabled: true}}",
            "hubble.relay.enabled: needs an image of its own",
        ),
        ("operator: {replicas: many}", "operator.replicas"),
    ],
)
def test_cilium_refuses_what_it_cannot_do(values: str, message: str, helm: Helm) -> None:
    assert message in refusal(helm, "rke2-cilium", values=values).replace("/", ".")
