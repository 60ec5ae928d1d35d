package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	pendingVariable = "CNI_CONF_PENDING"
	pendingSuffix   = ".pending"
	readinessPoll   = 50 * time.Millisecond
)

// publishCNIConfig gives the CNI configuration that install-cni has left as "<name>.pending" its real name
// once Felix is ready.
//
// A node is Ready as soon as the container runtime sees a CNI configuration. With the real name from the
// start, the first pods come before this container has said which node it is on, fail, and wait out the
// kubelet's back-off; and for a moment pods would run without the policies that select them.
func publishCNIConfig(ctx context.Context, env []string) error {
	values := lookup(env)
	pending := values[pendingVariable]
	if pending == "" {
		return nil
	}
	if values["FELIX_HEALTHENABLED"] == "true" {
		if err := untilReady(ctx, readinessURL(values)); err != nil {
			return err
		}
	}
	final := strings.TrimSuffix(pending, pendingSuffix)
	if final == pending {
		return fmt.Errorf("%s=%s does not end in %s", pendingVariable, pending, pendingSuffix)
	}
	err := os.Rename(pending, final)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // done before this container was restarted
	}
	if err == nil {
		log.Printf("Felix is ready: published %s", final)
	}
	return err
}

func readinessURL(values map[string]string) string {
	host, port := values["FELIX_HEALTHHOST"], values["FELIX_HEALTHPORT"]
	if host == "" {
		host = "localhost"
	}
	if port == "" {
		port = "9099"
	}
	return "http://" + net.JoinHostPort(host, port) + "/readiness"
}

func untilReady(ctx context.Context, url string) error {
	client := http.Client{Timeout: 2 * time.Second}
	for {
		if response, err := client.Get(url); err == nil {
			response.Body.Close()
			if response.StatusCode < http.StatusMultipleChoices {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(readinessPoll):
		}
	}
}
