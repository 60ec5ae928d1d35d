#!/usr/bin/env bash
# Strings that PyYAML writes without quotes come back as numbers and booleans from Kubernetes' YAML library.
#
# Library:  PyYAML 6.0.3 (safe_dump), sigs.k8s.io/yaml v1.6.0
# Expected: a writer puts strings in quotes that another reader of YAML 1.1 would take for something else: both
#           libraries implement YAML 1.1.
# Seen:     of the strings below safe_dump quotes only those that PyYAML itself would read otherwise ("017", "yes").
#           Go reads 1e3, 12E5, 1.e3, .1e5, 08 as numbers (PyYAML wants a dot and a sign in a float and no 8 in an
#           octal), 0o17 as 15 (YAML 1.2), y and n as booleans (in YAML 1.1's list, not in PyYAML's). Keys too.
#           The other way round PyYAML alone reads 12:30 as 750, which its writer therefore quotes.
# Where:    values of charts and manifests written by Python: an image tag 12E5 becomes 1200000, an environment variable
#           "y" makes the API server refuse the pod.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"

python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check --only-binary :all: PyYAML==6.0.3
cat > go.mod <<'MOD'
module finding
go 1.25
require sigs.k8s.io/yaml v1.6.0
MOD
cat > main.go <<'GO'
package main

import (
	"fmt"
	"io"
	"os"

	"sigs.k8s.io/yaml"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	read, err := yaml.YAMLToJSON(text)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(read))
}
GO
CGO_ENABLED=0 go build -mod=mod -trimpath -o ask .
cat > write.py <<'PY'
import sys

import yaml

texts = ["1e3", "12E5", "1.e3", ".1e5", "08", "0o17", "y", "n", "017", "yes", "12:30"]
yaml.safe_dump({"list": texts, "keys": {text: "" for text in ("1e3", "y")}}, sys.stdout, default_flow_style=None)
PY
venv/bin/python write.py | tee written.yaml
./ask < written.yaml | tee seen
diff seen - <<'SEEN'
{"keys":{"1000":"","true":""},"list":[1000,1200000,1000,10000,8,15,true,false,"017","yes","12:30"]}
SEEN
echo "finding holds: eight of eleven strings change their type between PyYAML and sigs.k8s.io/yaml"
