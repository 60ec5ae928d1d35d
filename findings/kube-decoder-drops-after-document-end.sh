#!/usr/bin/env bash
# The YAML decoder of kubectl drops an object that follows "..." and refuses one that begins on the line of "---".
#
# Library:  k8s.io/apimachinery v0.36.4 (util/yaml, NewYAMLOrJSONDecoder), PyYAML 6.0.3
# Expected: the decoder splits a stream where YAML does.
# Seen:     it splits at lines that begin with "---", and hands each piece to a reader of one document.
#             a: 1 / ... / b: 2          a document may follow "..." directly in YAML 1.2: b is dropped without an error;
#                                        PyYAML says that it misses "---"
#             a: 1 / --- {b: 2}          one of the oldest forms of YAML: "invalid Yaml document separator: {b: 2}";
#                                        PyYAML gives two documents
#             a: 1 / --- !!map / b: 2    the same
#             a: 1 / ... / --- / b: 2    two documents for both
# Where:    `kubectl apply` of manifests put together from several files or written by YAML libraries that end documents
#           with "...". In its manifests folder rke2 reads as PyYAML does: both documents, or an error.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"

python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check --only-binary :all: PyYAML==6.0.3
cat > go.mod <<'MOD'
module finding
go 1.26
require k8s.io/apimachinery v0.36.4
MOD
cat > main.go <<'GO'
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/util/yaml"
)

func main() {
	decoder := yaml.NewYAMLOrJSONDecoder(os.Stdin, 4096)
	for {
		var document map[string]int
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			fmt.Println("error:", err)
			return
		}
		fmt.Println(document)
	}
}
GO
cat > ask.py <<'PY'
import sys

import yaml

try:
    for document in yaml.safe_load_all(sys.stdin.read()):
        print(document)
except yaml.YAMLError as error:
    print("error:", error.problem)
PY
CGO_ENABLED=0 go build -mod=mod -trimpath -o ask .
for text in 'a: 1\n...\nb: 2\n' 'a: 1\n--- {b: 2}\n' 'a: 1\n--- !!map\nb: 2\n' 'a: 1\n...\n---\nb: 2\n'; do
    echo "== $text"
    printf '%b' "$text" | ./ask | sed 's/^/apimachinery: /'
    printf '%b' "$text" | venv/bin/python ask.py | sed 's/^/PyYAML: /'
done | tee seen
diff seen - <<'SEEN'
== a: 1\n...\nb: 2\n
apimachinery: map[a:1]
PyYAML: {'a': 1}
PyYAML: error: expected '<document start>', but found '<block mapping start>'
== a: 1\n--- {b: 2}\n
apimachinery: error: invalid Yaml document separator: {b: 2}
PyYAML: {'a': 1}
PyYAML: {'b': 2}
== a: 1\n--- !!map\nb: 2\n
apimachinery: error: invalid Yaml document separator: !!map
PyYAML: {'a': 1}
PyYAML: {'b': 2}
== a: 1\n...\n---\nb: 2\n
apimachinery: map[a:1]
apimachinery: map[b:2]
PyYAML: {'a': 1}
PyYAML: {'b': 2}
SEEN
echo "finding holds: what follows \"...\" is dropped, what follows \"---\" on its line is refused"
