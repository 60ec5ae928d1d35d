#!/usr/bin/env bash
# JSON as Python writes it is not always YAML for Go: an escaped emoji ends `helm -f`, but not `kubectl apply`.
#
# Library:  sigs.k8s.io/yaml v1.6.0, k8s.io/apimachinery v0.36.4 (util/yaml), PyYAML 6.0.3
# Expected: YAML 1.2 contains JSON, so what json.dumps writes can be handed to everything that takes YAML.
# Seen:     json.dumps writes characters beyond U+FFFF as two escapes ("\ud83d\ude00"). sigs.k8s.io/yaml, which reads
#           Helm's values and kubeconfigs, answers "found invalid Unicode character escape code". The decoder of
#           kubectl takes the same text, because a document that begins with "{" goes to the JSON parser. PyYAML takes
#           it too, but gives two surrogates instead of one character, which UTF-8 cannot encode afterwards.
# Where:    valuesContent of a HelmChart or a values file made with json.dumps; ensure_ascii=False helps.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"

python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check --only-binary :all: PyYAML==6.0.3
cat > go.mod <<'MOD'
module finding
go 1.26
require (
	k8s.io/apimachinery v0.36.4
	sigs.k8s.io/yaml v1.6.0
)
MOD
cat > main.go <<'GO'
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	stream "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	var whole, first map[string]string
	err = yaml.Unmarshal(text, &whole)
	fmt.Printf("sigs.k8s.io/yaml: %q %v\n", whole["banner"], err)
	err = stream.NewYAMLOrJSONDecoder(strings.NewReader(string(text)), 4096).Decode(&first)
	fmt.Printf("apimachinery: %q %v\n", first["banner"], err)
}
GO
python3 -c 'import json; print(json.dumps({"banner": "\N{GRINNING FACE}"}))' > values.json
cat values.json
CGO_ENABLED=0 go build -mod=mod -trimpath -o ask .
./ask < values.json | tee seen
venv/bin/python - <<'PY' | tee -a seen
import yaml

text = yaml.safe_load(open("values.json"))["banner"]
try:
    text.encode()
    print("PyYAML: can be encoded")
except UnicodeEncodeError:
    print("PyYAML:", ascii(text), "cannot be encoded")
PY
diff seen - <<'SEEN'
sigs.k8s.io/yaml: "" error converting YAML to JSON: yaml: found invalid Unicode character escape code
apimachinery: "😀" <nil>
PyYAML: '\ud83d\ude00' cannot be encoded
SEEN
echo "finding holds: an escaped surrogate pair is JSON to kubectl's decoder and an error to sigs.k8s.io/yaml"
