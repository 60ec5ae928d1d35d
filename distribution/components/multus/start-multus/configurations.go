package main

import (
	"context"
	"errors"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// multusFiles are the names that thin_entrypoint gives its configuration, by the CNI version of the primary's.
var multusFiles = []string{"00-multus.conf", "00-multus.conflist"}

const poll = 50 * time.Millisecond

// configurations are those of the host's CNI plugins.
type configurations struct {
	dir     string
	primary string // name of the primary's file; empty: the first that is not of Multus
}

// awaitPrimary returns once the primary has a configuration, or with an error when the context ends.
func (c configurations) awaitPrimary(ctx context.Context) error {
	for waited := false; ; waited = true {
		found, err := c.findPrimary()
		if err != nil {
			return err
		}
		if found != "" {
			log.Printf("the primary CNI plugin is configured by %s", found)
			return nil
		}
		if !waited {
			log.Printf("waiting for the primary CNI plugin's configuration in %s", c.dir)
			if err := c.removeOrphans(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(poll):
		}
	}
}

// findPrimary is the name of the file that thin_entrypoint will take for the primary's, or empty.
func (c configurations) findPrimary() (string, error) {
	entries, err := os.ReadDir(c.dir) // in the order of names, as the runtime looks at them
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		name := entry.Name()
		wanted := name == c.primary
		if c.primary == "" {
			extension := filepath.Ext(name)
			wanted = (extension == ".conf" || extension == ".conflist") && !slices.Contains(multusFiles, name)
		}
		if wanted && !entry.IsDir() {
			return name, nil
		}
	}
	return "", nil
}

func (c configurations) removeOrphans() error {
	for _, name := range multusFiles {
		err := os.Remove(filepath.Join(c.dir, name))
		if err == nil {
			log.Printf("removed %s: the primary CNI plugin it was made for has no configuration", name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (c configurations) multusIsThere() error {
	for _, name := range multusFiles {
		if _, err := os.Stat(filepath.Join(c.dir, name)); err == nil {
			return nil
		}
	}
	return errors.New("Multus has no configuration yet: it waits for the primary CNI plugin's")
}
