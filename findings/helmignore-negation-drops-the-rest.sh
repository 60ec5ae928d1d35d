#!/usr/bin/env bash
# One line "!README.md" in .helmignore leaves nothing of a chart but that file.
#
# Library:  helm.sh/helm/v3 v3.21.4 (pkg/chart/loader, what `helm package` and `helm install DIR` read a chart with)
# Expected: as in .gitignore: "*.md" and then "!README.md" keep README.md and drop other .md files.
# Seen:     a line with "!" means "drop each file that this does not match", whatever the lines before it say. Chart.yaml
#           is dropped too, and the message is "Chart.yaml file is missing" of a folder where it plainly is.
# Where:    charts of one's own, packed for chartContent of a HelmChart or for a registry.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"

cat > go.mod <<'MOD'
module finding
go 1.26
require helm.sh/helm/v3 v3.21.4
MOD
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"slices"

	"helm.sh/helm/v3/pkg/chart/loader"
)

func main() {
	chart, err := loader.Load(os.Args[1])
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	var names []string
	for _, file := range chart.Raw {
		names = append(names, file.Name)
	}
	slices.Sort(names)
	fmt.Println(names)
}
GO
CGO_ENABLED=0 go build -mod=mod -trimpath -o ask .
mkdir -p chart/templates
printf 'apiVersion: v2\nname: chart\nversion: 1.0.0\n' > chart/Chart.yaml
touch chart/README.md chart/NOTES.md chart/templates/a.yaml
for lines in '' '*.md\n' '*.md\n!README.md\n'; do
    printf '%b' "$lines" > chart/.helmignore
    echo ".helmignore '$lines': $(./ask chart)"
done | tee seen
diff seen - <<'SEEN'
.helmignore '': [.helmignore Chart.yaml NOTES.md README.md templates/a.yaml]
.helmignore '*.md\n': [.helmignore Chart.yaml templates/a.yaml]
.helmignore '*.md\n!README.md\n': error: Chart.yaml file is missing
SEEN
echo "finding holds: a negation in .helmignore drops all files that it does not match"
