package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
)

// installPlugins copies the programs in source to target, without those named in skip.
//
// Each is renamed into its place: the runtime may run one of that name at any moment.
func installPlugins(source, target string, skip []string) error {
	plugins, err := os.ReadDir(source)
	if err != nil {
		return err
	}
	installed := 0
	for _, plugin := range plugins {
		name := plugin.Name()
		if slices.Contains(skip, name) {
			continue
		}
		program, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return err
		}
		// Hidden, and not by a name that the other installers on the node use for their copies.
		fresh := filepath.Join(target, fmt.Sprintf(".%s.of-multus", name))
		if err := os.WriteFile(fresh, program, 0o755); err != nil {
			return err
		}
		if err := os.Rename(fresh, filepath.Join(target, name)); err != nil {
			return err
		}
		installed++
	}
	log.Printf("installed %d CNI plugins", installed)
	return nil
}
