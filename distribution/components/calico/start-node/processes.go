package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

type command struct {
	name string
	argv []string
	env  []string
}

// processes owns every child of this process: those it started, and orphans that were handed to it
// because it is process 1 of the container. One goroutine collects all of them, so nothing else in this
// program may wait for a child (os/exec would, and is not used).
type processes struct {
	mu      sync.Mutex
	running map[int]chan syscall.WaitStatus
	devNull *os.File
}

func newProcesses() *processes {
	null, err := os.Open(os.DevNull)
	if err != nil {
		log.Fatal(err)
	}
	p := &processes{running: map[int]chan syscall.WaitStatus{}, devNull: null}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	go func() {
		for range ended {
			p.collect()
		}
	}()
	return p
}

// start holds the lock over fork and registration: a child that ends at once is collected afterwards.
func (p *processes) start(c command) (int, <-chan syscall.WaitStatus, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pid, err := syscall.ForkExec(c.argv[0], c.argv, &syscall.ProcAttr{
		Env:   c.env,
		Files: []uintptr{p.devNull.Fd(), os.Stdout.Fd(), os.Stderr.Fd()},
	})
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", c.argv[0], err)
	}
	ended := make(chan syscall.WaitStatus, 1)
	p.running[pid] = ended
	return pid, ended, nil
}

// collect reaps whatever has ended. Signals of the same kind merge, hence the loop.
func (p *processes) collect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if ended, ours := p.running[pid]; ours {
			delete(p.running, pid)
			ended <- status
		}
	}
}

// signal never reaches a process that took over the pid of a collected child: both happen under the lock.
func (p *processes) signal(pid int, s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, running := p.running[pid]; running {
		_ = syscall.Kill(pid, s)
	}
}

func (p *processes) stop(pid int, ended <-chan syscall.WaitStatus, grace time.Duration) syscall.WaitStatus {
	p.signal(pid, syscall.SIGTERM)
	select {
	case status := <-ended:
		return status
	case <-time.After(grace):
		p.signal(pid, syscall.SIGKILL)
		return <-ended
	}
}

// forward passes signals on to all running commands.
func (p *processes) forward(ctx context.Context, signals ...os.Signal) {
	received := make(chan os.Signal, 4)
	signal.Notify(received, signals...)
	go func() {
		defer signal.Stop(received)
		for {
			select {
			case <-ctx.Done():
				return
			case s := <-received:
				p.signalAll(s.(syscall.Signal))
			}
		}
	}()
}

func (p *processes) signalAll(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pid := range p.running {
		_ = syscall.Kill(pid, s)
	}
}

func outcome(status syscall.WaitStatus, err error) string {
	switch {
	case err != nil:
		return "could not be started (" + err.Error() + ")"
	case status.Signaled():
		return "was ended by " + status.Signal().String()
	}
	return fmt.Sprintf("exited with %d", status.ExitStatus())
}
