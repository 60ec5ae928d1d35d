package main

import (
	"context"
	"errors"
	"strings"
)

// reconcile brings the release to the wanted state with as few Helm processes as possible.
func reconcile(ctx context.Context, j *job, w *workspace, records *records, helm *helmCLI, log *progress) error {
	if len(j.ignored) > 0 {
		log.say("Helm 3 applies objects from the client: %s has no effect", strings.Join(j.ignored, " and "))
	}
	current, err := records.latest(ctx, log)
	if err != nil {
		return err
	}
	p := decide(j, current)
	log.say("%s", p.why)
	if p.recover {
		log.say("setting the status of %s to failed", current)
		if err := records.setStatus(ctx, current.revision, "failed"); err != nil {
			return err
		}
	}
	if p.renewAPIs {
		renewStoredAPIs(ctx, records, current, log)
	}
	if err := execute(ctx, p.action, j, w, helm, log); err != nil || !p.action.merges() {
		return err
	}
	return mend(ctx, j, records, log)
}

// mend looks at what Helm did: the revision is another one than before.
func mend(ctx context.Context, j *job, records *records, log *progress) error {
	done, err := records.latest(ctx, log)
	if err != nil || done.status != "deployed" {
		return err
	}
	manifest, err := records.manifest(ctx, done.revision)
	if err != nil {
		return err
	}
	return mendPorts(ctx, records.api, j.namespace, manifest, log)
}

func execute(ctx context.Context, what action, j *job, w *workspace, helm *helmCLI, log *progress) error {
	switch what {
	case doInstall:
		return apply(ctx, "install", j, w, helm)
	case doUpgrade:
		return apply(ctx, "upgrade", j, w, helm)
	case doRetry:
		if err := apply(ctx, "upgrade", j, w, helm); err != nil {
			log.say("%v; the controller will try again", err)
		}
		return nil
	case doReinstall:
		// What is left of the release when this fails, the installation reports better.
		uninstall(ctx, j, helm, log)
		return apply(ctx, "install", j, w, helm)
	case doUninstall:
		// The controller runs the job again while a release record is left.
		uninstall(ctx, j, helm, log)
		return nil
	case doAbort:
		return errAborted
	default:
		return nil
	}
}

var errAborted = errors.New("the release is left as it is")

func apply(ctx context.Context, verb string, j *job, w *workspace, helm *helmCLI) error {
	if args, stdin := repositoryArgs(j, w); args != nil {
		if err := helm.run(ctx, stdin, args...); err != nil {
			return err
		}
	}
	return helm.run(ctx, "", applyArgs(verb, j, w)...)
}

func uninstall(ctx context.Context, j *job, helm *helmCLI, log *progress) {
	if err := helm.run(ctx, "", uninstallArgs(j)...); err != nil {
		log.say("%v", err)
	}
}

// renewStoredAPIs must not stop an upgrade that may well work without it.
func renewStoredAPIs(ctx context.Context, records *records, current release, log *progress) {
	renewed, err := records.renewAPIs(ctx, current.revision)
	if err != nil {
		log.say("removed API versions in %s were not looked for: %v", current, err)
	}
	for _, change := range renewed {
		log.say("stored manifest of %s: %s", current, change)
	}
}
