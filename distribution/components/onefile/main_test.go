package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDataDirIsThatOfFlagVariableAndConfiguration(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	put(t, config, "data-dir: /from/config\n")
	put(t, config+".d/50-disk.yaml", "# data-dir: /not\ndata-dir: '/from/drop-in' # large\n")
	put(t, config+".d/60-other.yaml", "other:\n  data-dir: /nested\n")
	cases := []struct {
		arguments, variable, want string
	}{
		{"rke2 server --data-dir /flag", "/variable", "/flag"},
		{"rke2 server --data-dir=/flag", "", "/flag"},
		{"rke2 agent -d /flag --node-name x", "", "/flag"},
		{"rke2 server --data-dir /first --data-dir /last", "", "/last"},
		{"rke2 server", "/variable", "/variable"},
		{"rke2 server", "", "/from/drop-in"},
		{"rke2 server --data-dir", "", "/from/drop-in"},
		{"rke2 server -d /", "", defaultDataDir},
		{"rke2 kubectl get pods -d /flag", "/variable", "/variable"},
		{"rke2 lab exec host -- rke2 server -d /flag", "/variable", "/variable"},
		{"rke2", "/variable", "/variable"},
	}
	for _, each := range cases {
		variables := map[string]string{"RKE2_DATA_DIR": each.variable, "RKE2_CONFIG_FILE": config}
		if found := dataDir(strings.Fields(each.arguments), variables); found != each.want {
			t.Errorf("%s: %s, not %s", each.arguments, found, each.want)
		}
	}
	given := []string{"rke2", "server", "--config", config}
	if found := dataDir(given, map[string]string{}); found != "/from/drop-in" {
		t.Errorf("--config: %s", found)
	}
}

func TestScalarsOfTheConfiguration(t *testing.T) {
	for text, want := range map[string]string{
		"/plain": "/plain", `"/quoted # no comment" # comment`: "/quoted # no comment", "'/single'": "/single",
		"/with#hash": "/with#hash", "/path # comment": "/path", "": "",
	} {
		if found := scalar(text); found != want {
			t.Errorf("%q: %q, not %q", text, found, want)
		}
	}
}

func TestTheLoaderIsNamedInItsSpaceAndNowhereElse(t *testing.T) {
	mark := loaderMark + strings.Repeat("/", loaderSpace-1-len(loaderMark)) + "\x00"
	program := []byte("before" + mark + "after")
	if err := nameLoader(program, "/a/loader"); err != nil {
		t.Fatal(err)
	}
	want := "before/a/loader" + strings.Repeat("\x00", loaderSpace-len("/a/loader")) + "after"
	if string(program) != want {
		t.Errorf("%q", program)
	}
	if err := nameLoader([]byte("before"+mark), "/"+strings.Repeat("long/", 300)); err == nil {
		t.Error("a path that is too long was taken")
	}
	if err := nameLoader(bytes.Repeat([]byte("x"), 5000), "/a"); err == nil {
		t.Error("a program without the mark was taken")
	}
}

func TestAFileWithoutItsEndIsRefused(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := findPayload(file); err == nil {
		t.Error("an empty file was taken")
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
