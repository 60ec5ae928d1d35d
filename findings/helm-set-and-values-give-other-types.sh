#!/usr/bin/env bash
# The same text is another type in Helm's --set than in a values file.
#
# Library:  helm.sh/helm/v3 v3.21.4 (pkg/strvals, pkg/chartutil)
# Expected: `--set key=TEXT` is short for a values file with `key: TEXT`.
# Seen:     --set knows true, false, null and whole decimal numbers without a leading zero; all else is a string. A values
#           file is YAML turned into JSON: 1e3, 0x10, 08, 010, 1_000, .5 and yes are a number or a boolean there. And
#           numbers are floats: 9007199254740993 (2^53 + 1) is exact with --set and 9007199254740992 from a file.
#           "True" is a boolean both ways.
# Where:    `set:` and `valuesContent:` of a HelmChart, which become --set and a values file: moving an image tag or an
#           account number from one to the other changes what the templates get.
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

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/strvals"
)

func typed(value any) string {
	if number, ok := value.(float64); ok {
		return fmt.Sprintf("float64 %.17g", number)
	}
	return fmt.Sprintf("%T %v", value, value)
}

func main() {
	for _, text := range []string{
		"1e3", "0x10", "08", "010", "1_000", ".5", "yes", "True", "12", "9007199254740993",
	} {
		set, err := strvals.Parse("key=" + text)
		if err != nil {
			panic(err)
		}
		file, err := chartutil.ReadValues([]byte("key: " + text))
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s: --set %T %v, file %s\n", text, set["key"], set["key"], typed(file["key"]))
	}
}
GO
CGO_ENABLED=0 go build -mod=mod -trimpath -o ask .
./ask | tee seen
diff seen - <<'SEEN'
1e3: --set string 1e3, file float64 1000
0x10: --set string 0x10, file float64 16
08: --set string 08, file float64 8
010: --set string 010, file float64 8
1_000: --set string 1_000, file float64 1000
.5: --set string .5, file float64 0.5
yes: --set string yes, file bool true
True: --set bool true, file bool true
12: --set int64 12, file float64 12
9007199254740993: --set int64 9007199254740993, file float64 9007199254740992
SEEN
echo "finding holds: --set and a values file give other types for the same text"
