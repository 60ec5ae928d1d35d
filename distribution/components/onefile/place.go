package main

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

const (
	defaultDataDir = "/var/lib/rancher/rke2"
	defaultConfig  = "/etc/rancher/rke2/config.yaml"
)

// Verbs whose -d and --data-dir are the node's data directory. Others hand on arguments to other programs.
var withDataDir = []string{"server", "agent", "status", "images", "token", "etcd-snapshot", "certificate", "secrets-encrypt"}

// place is a directory that holds unpacked programs.
type place struct {
	parent string
	moves  string // how an operator chooses another one
}

// choosePlace decides where the program is unpacked: root below the data directory, as the data directory of a node is
// root's; others in their cache, unless root has unpacked the same program already.
func choosePlace(arguments, environment []string, name string) (*place, error) {
	variables := variablesOf(environment)
	shared := filepath.Join(dataDir(arguments, variables), "data")
	if os.Geteuid() == 0 {
		return &place{shared, "choose another data directory (--data-dir, RKE2_DATA_DIR, or `data-dir` in " + defaultConfig + ")"}, nil
	}
	if info, err := os.Stat(filepath.Join(shared, name, interpreter)); err == nil && info.Mode().IsRegular() {
		return &place{shared, ""}, nil
	}
	cache, err := cacheOf(variables)
	if err != nil {
		return nil, err
	}
	return &place{filepath.Join(cache, "rke2"), "set XDG_CACHE_HOME to another directory"}, nil
}

func cacheOf(variables map[string]string) (string, error) {
	if cache := variables["XDG_CACHE_HOME"]; filepath.IsAbs(cache) {
		return cache, nil
	}
	if home := variables["HOME"]; filepath.IsAbs(home) {
		return filepath.Join(home, ".cache"), nil
	}
	return "", &problem{"there is no directory to unpack rke2 to: neither HOME nor XDG_CACHE_HOME is set",
		"set XDG_CACHE_HOME to a directory that you can write"}
}

// dataDir is the data directory as far as it is known without reading YAML: flag, environment, a line of the
// configuration, default. A wrong one is no harm: the program is unpacked there, and nothing else.
func dataDir(arguments []string, variables map[string]string) string {
	given := flagValue(arguments, withDataDir, "--data-dir", "-d")
	if given == "" {
		given = variables["RKE2_DATA_DIR"]
	}
	if given == "" {
		given = configured(configFile(arguments, variables))
	}
	path, err := filepath.Abs(given)
	if given == "" || err != nil || path == "/" {
		return defaultDataDir
	}
	return path
}

func configFile(arguments []string, variables map[string]string) string {
	for _, file := range []string{flagValue(arguments, []string{"server", "agent"}, "--config", "-c"), variables["RKE2_CONFIG_FILE"]} {
		if file != "" {
			return file
		}
	}
	return defaultConfig
}

// flagValue is the value of the last flag called `names` among `arguments`, if their verb is one of `verbs`.
func flagValue(arguments, verbs []string, names ...string) string {
	found := ""
	if len(arguments) < 2 || !slices.Contains(verbs, arguments[1]) {
		return found
	}
	for at := 2; at < len(arguments) && arguments[at] != "--"; at++ {
		name, value, joined := strings.Cut(arguments[at], "=")
		switch {
		case !slices.Contains(names, name):
		case joined:
			found = value
		case at+1 < len(arguments):
			at++
			found = arguments[at]
		}
	}
	return found
}

// configured is the value of `data-dir` in a configuration file and in the files beside it that complete it.
func configured(file string) string {
	more, _ := filepath.Glob(strings.ReplaceAll(file, "[", "\\[") + ".d/*.yaml")
	sort.Strings(more)
	found := ""
	for _, path := range append([]string{file}, more...) {
		if value := lineOf(path, "data-dir"); value != "" {
			found = value
		}
	}
	return found
}

// lineOf is the value of the line `key: value` of a YAML file, without quotes and comment.
func lineOf(path, key string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	found := ""
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, value, isPair := strings.Cut(lines.Text(), ":")
		if isPair && strings.Trim(strings.TrimRight(name, " "), `"'`) == key {
			found = scalar(strings.TrimSpace(value))
		}
	}
	return found
}

func scalar(value string) string {
	if value != "" && strings.ContainsAny(value[:1], `"'`) {
		inside, _, _ := strings.Cut(value[1:], value[:1])
		return inside
	}
	plain, _, _ := strings.Cut(value, " #")
	return strings.TrimSpace(plain)
}

func variablesOf(environment []string) map[string]string {
	found := map[string]string{}
	for _, pair := range environment {
		name, value, _ := strings.Cut(pair, "=")
		found[name] = value
	}
	return found
}
