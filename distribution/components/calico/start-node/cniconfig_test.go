package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

func felix(t *testing.T) (*atomic.Bool, []string) {
	t.Helper()
	ready := &atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readiness" || !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return ready, []string{
		"FELIX_HEALTHENABLED=true",
		"FELIX_HEALTHHOST=" + address.Hostname(),
		"FELIX_HEALTHPORT=" + address.Port(),
	}
}

func pendingFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "10-canal.conflist.pending")
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestConfigurationIsPublishedOnceFelixIsReady(t *testing.T) {
	ready, env := felix(t)
	pending := pendingFile(t)
	final := pending[:len(pending)-len(pendingSuffix)]
	done := make(chan error, 1)
	go func() { done <- publishCNIConfig(context.Background(), append(env, pendingVariable+"="+pending)) }()

	time.Sleep(3 * readinessPoll)
	if exists(final) {
		t.Fatal("published before Felix was ready")
	}
	ready.Store(true)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !exists(final) || exists(pending) {
		t.Fatal("not published")
	}
}

func TestWithoutHealthChecksItIsPublishedAtOnce(t *testing.T) {
	pending := pendingFile(t)
	if err := publishCNIConfig(context.Background(), []string{pendingVariable + "=" + pending}); err != nil {
		t.Fatal(err)
	}
	if exists(pending) {
		t.Fatal("not published")
	}
}

func TestAPublishedConfigurationIsFine(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "x.conflist.pending")
	if err := publishCNIConfig(context.Background(), []string{pendingVariable + "=" + missing}); err != nil {
		t.Fatal(err)
	}
}

func TestANameWithoutTheSuffixIsRefused(t *testing.T) {
	if publishCNIConfig(context.Background(), []string{pendingVariable + "=/etc/cni/net.d/x.conflist"}) == nil {
		t.Fatal("no error")
	}
}

func TestWaitingEndsWithTheContainer(t *testing.T) {
	_, env := felix(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*readinessPoll)
	defer cancel()
	if publishCNIConfig(ctx, append(env, pendingVariable+"="+pendingFile(t))) == nil {
		t.Fatal("no error")
	}
}
