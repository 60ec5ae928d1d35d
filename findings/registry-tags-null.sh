#!/usr/bin/env bash
# A registry lists a repository whose last image was deleted, and answers `"tags": null` for it.
#
# Library:  docker-registry 2.8.2+ds1-1 (Debian 12), the reference registry
# Expected: after the only manifest was deleted, the repository is gone from the catalogue, or its tags are an empty
#           list; the OCI specification describes `tags` as a list.
# Seen:     GET /v2/_catalog still has the name, GET /v2/<name>/tags/list is 200 with null. A program in Go reads null
#           as an empty list; one in Python or JavaScript that walks over the tags ends with a TypeError.
# Where:    scripts that compare a private registry with the image lists of a release before an upgrade.
set -euo pipefail
dir=$(mktemp -d); trap 'kill "${pid:-}" 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"; chmod 755 .

apt-get download -qq docker-registry=2.8.2+ds1-1
dpkg-deb -x docker-registry_*.deb .
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat > config.yml <<YAML
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $dir/data}, delete: {enabled: true}}
http: {addr: "127.0.0.1:$port"}
YAML
./usr/bin/docker-registry serve config.yml > log 2>&1 & pid=$!

python3 - "http://127.0.0.1:$port/v2/" <<'PY'
import hashlib
import json
import sys
import time
import urllib.request

base, kind = sys.argv[1], "application/vnd.oci.image.manifest.v1+json"


def ask(method, url, body=None, content="application/octet-stream"):
    request = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": content})
    return urllib.request.urlopen(request)


def blob(content, media):
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    where = ask("POST", base + "team/app/blobs/uploads/", b"").headers["Location"]
    ask("PUT", f"{where}&digest={digest}", content)
    return {"mediaType": media, "digest": digest, "size": len(content)}


for _ in range(100):
    try:
        ask("GET", base)
        break
    except OSError:
        time.sleep(0.1)
config = blob(b"{}", "application/vnd.oci.image.config.v1+json")
manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []}).encode()
ask("PUT", base + "team/app/manifests/v1", manifest, kind)
print("before:", before := json.load(ask("GET", base + "team/app/tags/list")))
ask("DELETE", base + "team/app/manifests/sha256:" + hashlib.sha256(manifest).hexdigest())
print("after: ", after := json.load(ask("GET", base + "team/app/tags/list")))
print("catalogue:", catalogue := json.load(ask("GET", base + "_catalog")))
assert before["tags"] == ["v1"], before
assert after == {"name": "team/app", "tags": None}, f"the behaviour changed: {after}"
assert catalogue["repositories"] == ["team/app"], f"the behaviour changed: {catalogue}"
PY
echo "finding holds: docker-registry 2.8.2 keeps an emptied repository, and its tags are null"
