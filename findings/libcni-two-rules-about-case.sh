#!/usr/bin/env bash
# In one CNI configuration list the case of some keys matters and that of others does not.
#
# Library:  github.com/containernetworking/cni v1.3.0 (libcni, which containerd reads /etc/cni/net.d with)
# Expected: one rule for the whole file, and an error for a list without plugins.
# Seen:     keys of the list are looked up exactly: "CNIVersion" is no version (the list is then taken for one of the
#           oldest version, without an error), "Plugins" gives a valid list of no plugins, only "Name" is told
#           ("no name"). Keys within a plugin go through encoding/json, which ignores the case: "TYPE", "IPAM" are read.
# Where:    a configuration of one's own with `cni: none`. A program in Python that reads the same file sees other keys
#           than containerd does.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"

cat > go.mod <<'MOD'
module finding
go 1.25
require github.com/containernetworking/cni v1.3.0
MOD
cat > main.go <<'GO'
package main

import (
	"fmt"

	"github.com/containernetworking/cni/libcni"
)

func main() {
	for _, text := range []string{
		`{"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "bridge"}]}`,
		`{"CNIVersion": "1.0.0", "name": "net", "plugins": [{"type": "bridge"}]}`,
		`{"cniVersion": "1.0.0", "Name": "net", "plugins": [{"type": "bridge"}]}`,
		`{"cniVersion": "1.0.0", "name": "net", "Plugins": [{"type": "bridge"}]}`,
		`{"cniVersion": "1.0.0", "name": "net", "plugins": [{"TYPE": "bridge", "IPAM": {"Type": "static"}}]}`,
	} {
		list, err := libcni.ConfListFromBytes([]byte(text))
		fmt.Println(text)
		if err != nil {
			fmt.Println("  error:", err)
			continue
		}
		fmt.Printf("  version %q, %d plugins", list.CNIVersion, len(list.Plugins))
		for _, plugin := range list.Plugins {
			fmt.Printf(", type %q, ipam %q", plugin.Network.Type, plugin.Network.IPAM.Type)
		}
		fmt.Println()
	}
}
GO
CGO_ENABLED=0 go build -mod=mod -trimpath -o ask .
./ask | tee all
grep '^  ' all > seen
diff seen - <<'SEEN'
  version "1.0.0", 1 plugins, type "bridge", ipam ""
  version "", 1 plugins, type "bridge", ipam ""
  error: error parsing configuration list: no name
  version "1.0.0", 0 plugins
  version "1.0.0", 1 plugins, type "bridge", ipam "static"
SEEN
echo "finding holds: libcni is strict about the case of a list's keys and lax within a plugin"
