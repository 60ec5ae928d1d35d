package main

import "strconv"

// release is the latest recorded revision of a release; the zero value is "there is none".
type release struct {
	revision int
	status   string
}

type action int

const (
	doNothing action = iota
	doInstall
	doUpgrade   // of a deployed release
	doRetry     // upgrade over a failed release; its outcome does not become the exit code
	doReinstall // uninstall, then install
	doUninstall
	doAbort
)

// merges tells whether Helm merges the chart into objects that are there.
func (a action) merges() bool { return a == doUpgrade || a == doRetry }

// plan is what to do about a release and why.
type plan struct {
	action action
	why    string
	// recover: the record says that a Helm process is at work, which cannot be. Mark it failed first,
	// because Helm refuses to touch a pending release.
	recover bool
	// renewAPIs: the stored manifest may name API versions that this Kubernetes no longer serves, and
	// Helm could not read the objects it installed.
	renewAPIs bool
}

// decide is klipper-helm's decision table.
func decide(j *job, current release) plan {
	if current.revision == 0 {
		if j.verb == "delete" {
			return plan{action: doNothing, why: "no release found, nothing to delete"}
		}
		return plan{action: doInstall, why: "no release found"}
	}
	// The pod was made for another revision: someone else was faster. Ending well makes the controller
	// look again.
	if j.expected != "" && j.expected != strconv.Itoa(current.revision) {
		return plan{action: doNothing, why: "expected revision " + j.expected + ", found " + current.String()}
	}
	if j.verb == "delete" {
		return plan{action: doUninstall, why: "deleting " + current.String()}
	}
	switch current.status {
	case "deployed":
		return plan{action: doUpgrade, why: "found " + current.String(), renewAPIs: true}
	case "pending-upgrade", "superseded":
		return plan{action: doUpgrade, why: "recovering " + current.String(), recover: true}
	case "pending-install", "pending-rollback", "uninstalling":
		p := afterFailure(j.failurePolicy, current)
		p.recover = true
		return p
	case "failed", "deleted", "null", "unknown", "":
		return afterFailure(j.failurePolicy, current)
	default:
		return plan{action: doInstall, why: "found " + current.String()}
	}
}

func afterFailure(policy string, current release) plan {
	why := "found " + current.String() + ", failure policy " + policy
	switch policy {
	case "reinstall", "":
		return plan{action: doReinstall, why: why}
	case "retry":
		return plan{action: doRetry, why: why}
	case "abort":
		return plan{action: doAbort, why: why + ": waiting for someone to repair or remove the release"}
	default:
		return plan{action: doAbort, why: why + " (not one of reinstall, retry, abort)"}
	}
}

func (r release) String() string {
	return "revision " + strconv.Itoa(r.revision) + " (" + r.status + ")"
}
