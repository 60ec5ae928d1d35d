package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func write(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func names(t *testing.T, dir string) map[string]bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, entry := range entries {
		found[entry.Name()] = true
	}
	return found
}

func TestThePrimaryIsTheFirstThatIsNotOfMultus(t *testing.T) {
	for _, test := range []struct {
		files    []string
		primary  string
		expected string
	}{
		{nil, "", ""},
		{[]string{"00-multus.conf", "00-multus.conflist", "10-canal.conflist.pending", "calico-kubeconfig"}, "", ""},
		{[]string{"00-multus.conf", "10-canal.conflist", "20-other.conf"}, "", "10-canal.conflist"},
		{[]string{"10-canal.conflist", "20-other.conf"}, "20-other.conf", "20-other.conf"},
		{[]string{"10-canal.conflist"}, "20-other.conf", ""},
	} {
		dir := t.TempDir()
		write(t, dir, test.files...)
		found, err := configurations{dir: dir, primary: test.primary}.findPrimary()
		if err != nil || found != test.expected {
			t.Errorf("of %v the primary is %q (%v)", test.files, found, err)
		}
	}
}

func TestItWaitsForThePrimaryAndRemovesWhatOutlivedIt(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "00-multus.conf", "00-multus.conflist", "10-canal.conflist.pending")
	conf := configurations{dir: dir}
	done := make(chan error, 1)
	go func() { done <- conf.awaitPrimary(context.Background()) }()

	time.Sleep(4 * poll)
	if left := names(t, dir); left["00-multus.conf"] || left["00-multus.conflist"] {
		t.Fatalf("left %v", left)
	}
	if conf.multusIsThere() == nil {
		t.Fatal("Multus is configured")
	}
	select {
	case err := <-done:
		t.Fatalf("ended without the primary: %v", err)
	default:
	}
	write(t, dir, "10-canal.conflist")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestBesideThePrimaryTheConfigurationOfMultusStays(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "00-multus.conflist", "10-canal.conflist")
	conf := configurations{dir: dir}
	if err := conf.awaitPrimary(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := conf.multusIsThere(); err != nil {
		t.Fatal(err)
	}
}

func TestAnEndIsNotWaitedFor(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if (configurations{dir: t.TempDir()}).awaitPrimary(ctx) == nil {
		t.Fatal("it waited for nothing")
	}
	if (configurations{dir: "/does/not/exist"}).awaitPrimary(context.Background()) == nil {
		t.Fatal("a missing directory is no error")
	}
}

func TestPluginsAreReplaced(t *testing.T) {
	source, target := t.TempDir(), t.TempDir()
	write(t, source, "bridge", "flannel")
	if err := os.WriteFile(filepath.Join(target, "bridge"), []byte("old"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := installPlugins(source, target, []string{"flannel", ""}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(target, "bridge"))
	if err != nil || string(content) != "bridge" {
		t.Fatalf("%q, %v", content, err)
	}
	info, err := os.Stat(filepath.Join(target, "bridge"))
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Fatalf("%v, %v", info, err)
	}
	if found := names(t, target); len(found) != 1 {
		t.Fatalf("installed %v", found)
	}
}
