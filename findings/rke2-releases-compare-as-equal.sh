#!/usr/bin/env bash
# v1.36.4+rke2r2 is not newer than v1.36.4+rke2r1 for Helm; for Python it is, but rke2r10 is older than rke2r9.
#
# Library:  github.com/Masterminds/semver/v3 v3.5.0 (Helm's), packaging 26.3 (Python), dpkg
# Expected: three ways to compare versions agree on the order of three releases of RKE2.
# Seen:     what follows "+" is build metadata to semver: Compare is 0, "> 1.36.4+rke2r1" is not met by +rke2r2, and
#           "= 1.36.4+rke2r1" is. To packaging it is a local version, compared as text as it has letters:
#           rke2r10 < rke2r9. dpkg compares digits as numbers, and has the order that is meant.
# Where:    kubeVersion and semverCompare in charts cannot tell two releases of RKE2 for one Kubernetes apart; scripts
#           that pick the newest release of a list.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"

python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check --only-binary :all: packaging==26.3
cat > go.mod <<'MOD'
module finding
go 1.25
require github.com/Masterminds/semver/v3 v3.5.0
MOD
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/Masterminds/semver/v3"
)

func main() {
	old, young := os.Args[1], os.Args[2]
	fmt.Println("semver: compare", semver.MustParse(old).Compare(semver.MustParse(young)))
	for _, operator := range []string{">", "="} {
		constraint, err := semver.NewConstraint(operator + " " + old)
		if err != nil {
			panic(err)
		}
		fmt.Println("semver:", young, operator, old, constraint.Check(semver.MustParse(young)))
	}
}
GO
CGO_ENABLED=0 go build -mod=mod -trimpath -o ask .
compare() {
    ./ask "$1" "$2"
    venv/bin/python -c 'import sys
from packaging.version import Version
old, young = map(Version, sys.argv[1:])
print("packaging:", young, ">", old, young > old)' "$1" "$2"
    if dpkg --compare-versions "$2" gt "$1"; then echo "dpkg: $2 > $1 true"; else echo "dpkg: $2 > $1 false"; fi
}
{ compare 1.36.4+rke2r1 1.36.4+rke2r2; compare 1.36.4+rke2r9 1.36.4+rke2r10; } | tee seen
diff seen - <<'SEEN'
semver: compare 0
semver: 1.36.4+rke2r2 > 1.36.4+rke2r1 false
semver: 1.36.4+rke2r2 = 1.36.4+rke2r1 true
packaging: 1.36.4+rke2r2 > 1.36.4+rke2r1 True
dpkg: 1.36.4+rke2r2 > 1.36.4+rke2r1 true
semver: compare 0
semver: 1.36.4+rke2r10 > 1.36.4+rke2r9 false
semver: 1.36.4+rke2r10 = 1.36.4+rke2r9 true
packaging: 1.36.4+rke2r10 > 1.36.4+rke2r9 False
dpkg: 1.36.4+rke2r10 > 1.36.4+rke2r9 true
SEEN
echo "finding holds: semver, packaging and dpkg have three orders for releases of RKE2"
