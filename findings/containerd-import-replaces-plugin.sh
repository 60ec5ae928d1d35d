#!/usr/bin/env bash
# One key in an imported containerd file sets all other keys of that plugin back to their defaults.
#
# Library:  containerd 1.6.20~ds1-1+deb12u3 (Debian 12). containerd 2.3.4 merges key by key.
# Expected: imports are merged key by key, as top-level values such as oom_score are.
# Seen:     the main file sets sandbox_image and the registry's config_path of the CRI plugin. An imported file sets
#           max_concurrent_downloads of the same plugin and nothing else. `config dump` then has the default
#           sandbox_image and an empty config_path: the plugin's table was replaced as a whole, without a message.
# Where:    drop-ins written for an older containerd repeat the whole table because of that; and drop-ins written for
#           the containerd of rke2, with only the keys to change, lose mirrors and the pause image on an older one.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; chmod 755 .

apt-get download -qq containerd=1.6.20~ds1-1+deb12u3
dpkg-deb -x containerd_*.deb .
./usr/bin/containerd --version

cat > main.toml <<TOML
version = 2
oom_score = 7
imports = ["$dir/drop-in.toml"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.example/pause:1"
  max_concurrent_downloads = 9
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/example/certs.d"
TOML
cat > drop-in.toml <<TOML
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  max_concurrent_downloads = 5
TOML

dump() { ./usr/bin/containerd --config main.toml config dump | grep -E '^ *(oom_score|sandbox_image|max_concurrent_downloads|config_path) ='; }
echo "with the drop-in:"; dump | tee with
sed -i '/^imports/d' main.toml
echo "without it:"; dump | tee without

grep -q 'sandbox_image = "registry.example/pause:1"' without
grep -q 'config_path = "/etc/example/certs.d"' without
grep -q 'oom_score = 7' with
grep -q 'max_concurrent_downloads = 5' with
if grep -q 'registry.example' with || ! grep -q 'config_path = ""' with; then
    echo "the behaviour changed: keys of the main file are kept" >&2
    exit 1
fi
echo "finding holds: the imported file's table replaces the plugin's whole configuration"
