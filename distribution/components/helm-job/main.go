// Command helm-job is the entry program of the Helm job image. It does what the script of
// rancher/klipper-helm v0.13.3 does: from the arguments, environment and mounted files that
// helm-controller gives the pod, it brings one Helm release to the wanted state.
//
// It differs from the script where that saves time or helps the operator:
//   - The state of the release is read from the labels of its release records through the Kubernetes
//     API, not by running "helm status". A fresh install is one Helm process.
//   - The two Helm plugins are native: set-status (records.go) and mapkubeapis (removedapis.go). The
//     latter rewrites the latest record in place where the plugin adds a revision.
//   - While the API does not answer or does not authorise the job yet, it waits (apiPatience) instead of
//     taking silence for "no release": a pod that exits is punished with the kubelet's back-off.
//   - Helm 3 has no server-side apply: SERVER_SIDE and FORCE_CONFLICTS are logged and have no effect.
//     Its client-side three-way merge never meets a field ownership conflict.
//   - After an upgrade, Services with two ports of one number get the ports that Helm's merge lost (ports.go).
//   - An excerpt of Helm's own error goes to the termination message as well.
//
// Exit codes: Helm's own for install and upgrade; 0 when there is nothing to do, after a delete and
// after a "retry" upgrade whatever came of it; 64 for HELM_VERSION=v2; 1 for everything else.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const exitUnsupportedHelm = 64 // EX_USAGE, as the script exits for HELM_VERSION=v2

func main() {
	// A pod being deleted keeps Helm running until SIGKILL: an interrupted Helm leaves pending-* behind.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	log := openProgress("/dev/termination-log")
	err := run(context.Background(), log)
	if err != nil {
		log.say("%v", err)
	}
	os.Exit(exitCode(err))
}

func run(ctx context.Context, log *progress) error {
	job, err := parseJob(os.Args[1:], os.LookupEnv)
	if err != nil {
		return err
	}
	api, err := inClusterAPI(os.LookupEnv)
	if err != nil {
		return err
	}
	work, err := prepare(job, "/")
	if err != nil {
		return err
	}
	helm := &helmCLI{binary: "/usr/bin/helm", env: helmEnv(os.Environ()), log: log}
	return reconcile(ctx, job, work, newRecords(api, job), helm, log)
}

func exitCode(err error) int {
	var failed *helmFailed
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errHelmV2):
		return exitUnsupportedHelm
	case errors.As(err, &failed):
		return failed.code
	default:
		return 1
	}
}

var errHelmV2 = fmt.Errorf("HELM_VERSION=v2: only charts for Helm 3 are supported")
