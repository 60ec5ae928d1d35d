package main

import (
	"context"
	"time"

	"k8s.io/klog/v2"
)

const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// persist repeats step until it succeeds or ctx ends, doubling the pause up to lastRetry, and keeps the
// reason of the last failure readable on /readyz.
func persist(ctx context.Context, state *readiness, what string, step func(context.Context) error) error {
	state.wait(what)
	pause := firstRetry
	for {
		err := step(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		state.wait(what + ": " + err.Error())
		klog.Warningf("cannot %s yet, trying again in %s: %v", what, pause, err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(pause*2, lastRetry)
	}
}
