package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// workspace is what the mounted volumes hold, as paths that Helm can be given. Paths in it do not
// carry the root they were found under.
type workspace struct {
	chart    string
	inline   bool     // the chart came with the HelmChart object
	caFile   string   // "" if the HelmChart brings no CA
	values   []string // in order of precedence: file names are made so that lexical order is that order
	username string
	password string
	certFile string // client certificate for the repository, "" without
	keyFile  string
}

// prepare reads the volumes below root and writes the chart archive and the CA bundle to root/tmp.
func prepare(j *job, root string) (*workspace, error) {
	w := &workspace{chart: j.chart}
	if j.verb == "delete" {
		return w, nil
	}
	steps := []func(*job, string) error{w.unpackChart, w.bundleCAs, w.findValues, w.readAuth}
	for _, step := range steps {
		if err := step(j, root); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *workspace) unpackChart(j *job, root string) error {
	encoded, err := os.Open(filepath.Join(root, "chart", j.name+".tgz.base64"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer encoded.Close()
	archive, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, encoded))
	if err != nil {
		return fmt.Errorf("chartContent of HelmChart %s is not valid base64: %w", j.name, err)
	}
	w.inline = true
	w.chart = "/tmp/" + j.name + ".tgz"
	return os.WriteFile(filepath.Join(root, w.chart), archive, 0o600)
}

func (w *workspace) bundleCAs(_ *job, root string) error {
	sources := []string{filepath.Join(root, "config/ca-file.pem")}
	more, err := filepath.Glob(filepath.Join(root, "ca-files/[^.]*")) // not the kubelet's "..data"
	if err != nil {
		return err
	}
	var bundle bytes.Buffer
	for _, source := range append(sources, more...) {
		pem, err := os.ReadFile(source)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		bundle.Write(pem)
		bundle.WriteByte('\n')
	}
	if len(bytes.TrimSpace(bundle.Bytes())) == 0 {
		return nil
	}
	w.caFile = "/tmp/ca-file.pem"
	return os.WriteFile(filepath.Join(root, w.caFile), bundle.Bytes(), 0o600)
}

func (w *workspace) findValues(_ *job, root string) error {
	files, err := filepath.Glob(filepath.Join(root, "config/*.yaml")) // sorted
	for _, file := range files {
		w.values = append(w.values, "/config/"+filepath.Base(file))
	}
	return err
}

func (w *workspace) readAuth(_ *job, root string) error {
	var err error
	if w.username, err = readOptional(root, "auth/username"); err != nil {
		return err
	}
	if w.password, err = readOptional(root, "auth/password"); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(root, "auth/tls.crt")); err == nil {
		w.certFile, w.keyFile = "/auth/tls.crt", "/auth/tls.key"
	}
	return nil
}

func readOptional(root, name string) (string, error) {
	content, err := os.ReadFile(filepath.Join(root, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimRight(string(content), "\n"), err
}
