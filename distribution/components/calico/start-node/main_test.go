package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func names(commands []command) string {
	var result []string
	for _, each := range commands {
		result = append(result, each.name)
	}
	return strings.Join(result, " ")
}

func TestTheBackendDecidesWhatRuns(t *testing.T) {
	for value, expected := range map[string]string{
		"none":  "felix monitor-token",
		"vxlan": "felix monitor-token monitor-addresses allocate-tunnel-addrs",
	} {
		chosen, err := chooseBackend([]string{"CALICO_NETWORKING_BACKEND=" + value})
		if err != nil {
			t.Fatal(err)
		}
		if got := names(commands(chosen, nil)); got != expected {
			t.Errorf("%s: %s, expected %s", value, got, expected)
		}
	}
	for _, value := range []string{"bird", ""} {
		if _, err := chooseBackend([]string{"CALICO_NETWORKING_BACKEND=" + value}); err == nil {
			t.Errorf("%q was accepted", value)
		}
	}
}

var quick = pauses{first: time.Millisecond, last: 4 * time.Millisecond, steady: time.Hour}

// shared is the only one: it collects every child of the test process.
var shared = newProcesses()

func shell(name, script string) command {
	return command{name: name, argv: []string{"/bin/sh", "-c", script}, env: os.Environ()}
}

func lines(t *testing.T, path string) int {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(content), "\n")
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("not within 10 s: %s", what)
}

func TestStartupIsRepeatedUntilItSucceeds(t *testing.T) {
	tries := filepath.Join(t.TempDir(), "tries")
	c := shell("startup", "echo >> "+tries+"; test $(wc -l < "+tries+") -ge 3")
	if err := untilSuccess(context.Background(), shared, c, quick); err != nil {
		t.Fatal(err)
	}
	if n := lines(t, tries); n != 3 {
		t.Fatalf("%d tries", n)
	}
}

func TestStartupThatCannotRunEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	c := command{name: "startup", argv: []string{"/does/not/exist"}}
	if err := untilSuccess(ctx, shared, c, quick); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestEndedCommandsAreRestartedIndependently(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	p := shared
	done := make(chan error, 1)
	go func() {
		done <- keepRunning(ctx, p, quick,
			shell("short", "echo >> "+dir+"/short; exit 129"),
			shell("long", "echo >> "+dir+"/long; exec sleep 60"))
	}()
	eventually(t, "restarts of the short one", func() bool { return lines(t, dir+"/short") >= 3 })
	if n := lines(t, dir+"/long"); n != 1 {
		t.Fatalf("the long one was started %d times", n)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if n := len(p.running); n != 0 {
		t.Fatalf("%d commands left", n)
	}
}

func TestStopKillsWhatIgnoresTerm(t *testing.T) {
	p := shared
	ready := filepath.Join(t.TempDir(), "ready")
	pid, ended, err := p.start(shell("stubborn", "trap '' TERM; echo > "+ready+"; while :; do sleep 0.01; done"))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the trap", func() bool { return lines(t, ready) == 1 })
	if status := p.stop(pid, ended, 30*time.Millisecond); status.Signal() != syscall.SIGKILL {
		t.Fatal(outcome(status, nil))
	}
}

func TestSignalsAreForwarded(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := shared
	p.forward(ctx, syscall.SIGUSR2)
	_, ended, err := p.start(shell("felix", "trap 'exit 7' USR2; echo > "+dir+"/ready; while :; do sleep 0.01; done"))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the trap", func() bool { return lines(t, dir+"/ready") == 1 })
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	if status := <-ended; status.ExitStatus() != 7 {
		t.Fatal(outcome(status, nil))
	}
}

func TestOrphansAreReaped(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "pid")
	_, ended, err := shared.start(shell("parent", "sleep 0.05 & echo $! > "+file))
	if err != nil {
		t.Fatal(err)
	}
	<-ended
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the orphan to be gone, not a zombie", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
}

func TestPauses(t *testing.T) {
	p := pauses{first: time.Second, last: 4 * time.Second, steady: time.Minute}
	var got []time.Duration
	pause := time.Duration(0)
	for _, ran := range []time.Duration{0, 0, 0, 0, time.Minute} {
		pause = p.next(pause, ran)
		got = append(got, pause/time.Second)
	}
	for i, want := range []time.Duration{1, 2, 4, 4, 1} {
		if got[i] != want {
			t.Fatal(got)
		}
	}
}

func TestEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nodename")
	if _, err := withNodename(nil, path); err == nil {
		t.Fatal("a missing node name must be an error")
	}
	if err := os.WriteFile(path, []byte("node-a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env, err := withNodename([]string{"NODENAME=old", "DATASTORE_TYPE=kubernetes", "FELIX_LOGFILEPATH=/tmp/f"}, path)
	if err != nil {
		t.Fatal(err)
	}
	values := lookup(felixEnvironment(env))
	for name, want := range map[string]string{
		"NODENAME":             "node-a",
		"FELIX_FELIXHOSTNAME":  "node-a",
		"FELIX_DATASTORETYPE":  "kubernetes",
		"FELIX_LOGFILEPATH":    "/tmp/f",
		"FELIX_LOGSEVERITYSYS": "None",
	} {
		if values[name] != want {
			t.Errorf("%s=%q, want %q", name, values[name], want)
		}
	}
}
