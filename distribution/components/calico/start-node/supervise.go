package main

import (
	"context"
	"log"
	"sync"
	"syscall"
	"time"
)

// stopGrace is how long a child may take after SIGTERM before it is killed.
const stopGrace = 5 * time.Second

// untilSuccess runs c until it exits with 0 or ctx ends.
func untilSuccess(ctx context.Context, p *processes, c command, wait pauses) error {
	var pause time.Duration
	for {
		ran, status, err := runOnce(ctx, p, c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && status.Exited() && status.ExitStatus() == 0 {
			return nil
		}
		pause = wait.next(pause, ran)
		log.Printf("%s %s after %s, trying again in %s", c.name, outcome(status, err), ran.Round(time.Millisecond), pause)
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// keepRunning restarts every command that ends, each at its own pace, until ctx ends; then it returns
// when all of them are gone.
func keepRunning(ctx context.Context, p *processes, wait pauses, commands ...command) error {
	var all sync.WaitGroup
	for _, c := range commands {
		all.Add(1)
		go func() {
			defer all.Done()
			restartForever(ctx, p, c, wait)
		}()
	}
	all.Wait()
	return ctx.Err()
}

func restartForever(ctx context.Context, p *processes, c command, wait pauses) {
	var pause time.Duration
	for {
		ran, status, err := runOnce(ctx, p, c)
		if ctx.Err() != nil {
			return
		}
		pause = wait.next(pause, ran)
		log.Printf("%s %s after %s, restarting in %s", c.name, outcome(status, err), ran.Round(time.Millisecond), pause)
		if !sleep(ctx, pause) {
			return
		}
	}
}

// runOnce starts c and waits for its end. When ctx ends first, c gets SIGTERM, and SIGKILL after stopGrace.
func runOnce(ctx context.Context, p *processes, c command) (time.Duration, syscall.WaitStatus, error) {
	if ctx.Err() != nil {
		return 0, 0, ctx.Err()
	}
	began := time.Now()
	pid, ended, err := p.start(c)
	if err != nil {
		return time.Since(began), 0, err
	}
	log.Printf("%s started, pid %d", c.name, pid)
	select {
	case status := <-ended:
		return time.Since(began), status, nil
	case <-ctx.Done():
	}
	return time.Since(began), p.stop(pid, ended, stopGrace), nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
