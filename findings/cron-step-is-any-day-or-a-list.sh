#!/usr/bin/env bash
# "0 0 */2 * 1" names other days for Kubernetes and RKE2 than for Debian's cron and Python's libraries.
#
# Library:  github.com/robfig/cron/v3 v3.0.1 (CronJobs of Kubernetes, etcd-snapshot-schedule-cron of K3s and RKE2);
#           cronsim 2.8 (which keeps to Debian's cron)
# Expected: the same days, as both read the same five fields.
# Seen:     a day must fit the day of the month and the day of the week where one of them is any day, else one of them
#           is enough. Whether */2 is any day, they see differently: robfig takes a step above one for a list of days,
#           so that every other day and each Monday fit. cronsim looks at the asterisk: only Mondays with an odd date
#           fit. Written as 1-31/2 the same days mean the same to both; */1 is any day to both.
# Where:    a schedule that was tried with crontab and then given to a CronJob, or the other way round; any program in
#           Python that tells when a schedule of RKE2 is due next.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"

cat > go.mod <<'MOD'
module finding
go 1.22
require github.com/robfig/cron/v3 v3.0.1
MOD
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/robfig/cron/v3"
)

func main() {
	for _, text := range os.Args[1:] {
		schedule, err := cron.ParseStandard(text)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%-16s", text)
		moment := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
		for range 5 {
			moment = schedule.Next(moment)
			fmt.Print(moment.Format(" 01-02"))
		}
		fmt.Println()
	}
}
GO
cat > ask.py <<'PYTHON'
import sys
from datetime import datetime
from itertools import islice

from cronsim import CronSim

for text in sys.argv[1:]:
    days = islice(CronSim(text, datetime(2026, 11, 30, 12)), 5)
    print(f"{text:<16}", *(day.strftime("%m-%d") for day in days))
PYTHON
expressions=('0 0 */2 * 1' '0 0 1-31/2 * 1' '0 0 */1 * 1' '0 0 1 * */2')
python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check cronsim==2.8
go mod download github.com/robfig/cron/v3 2> /dev/null
{
    echo robfig
    CGO_ENABLED=0 go run -mod=mod . "${expressions[@]}"
    echo cronsim
    venv/bin/python ask.py "${expressions[@]}"
} | tee seen
diff seen - <<'SEEN'
robfig
0 0 */2 * 1      12-01 12-03 12-05 12-07 12-09
0 0 1-31/2 * 1   12-01 12-03 12-05 12-07 12-09
0 0 */1 * 1      12-07 12-14 12-21 12-28 01-04
0 0 1 * */2      12-01 12-03 12-05 12-06 12-08
cronsim
0 0 */2 * 1      12-07 12-21 01-11 01-25 02-01
0 0 1-31/2 * 1   12-01 12-03 12-05 12-07 12-09
0 0 */1 * 1      12-07 12-14 12-21 12-28 01-04
0 0 1 * */2      12-01 04-01 05-01 06-01 07-01
SEEN
echo "finding holds: a step over all days is a list of days for robfig, and any day for cronsim"
