// onefile is the first part of rke2.linux-amd64; behind it in the same file lies the program, packed.
//
//	<place>/program-<hash>/bin/rke2   Python; its loader and libraries are in lib, found from wherever this is
//	                       start.py   the first lines of rke2
//	                       lib/       the C library, what else is linked, and python3.x with all packages
//
// The program is unpacked by the first start, under a name that is a hash of it, so a directory of that name is whole and
// never changes. Every start becomes (exec) the Python in it; nothing of this program stays.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// problem is an error that an operator reads: what failed, and what to do.
type problem struct {
	what, remedy string
}

func (p *problem) Error() string { return p.what }

func main() {
	err := run(os.Args, os.Environ())
	fmt.Fprintf(os.Stderr, "rke2: error: %v\n", err)
	var told *problem
	if errors.As(err, &told) && told.remedy != "" {
		fmt.Fprintf(os.Stderr, "       hint: %s\n", told.remedy)
	}
	os.Exit(1)
}

// run returns only if the program cannot be started.
func run(arguments, environment []string) error {
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		return &problem{"cannot read its own file: " + reason(err), "mount /proc"}
	}
	packed, err := findPayload(file)
	if err != nil {
		return err
	}
	place, err := choosePlace(arguments, environment, packed.name())
	if err != nil {
		return err
	}
	held, err := place.prepare(packed)
	if err != nil {
		return err
	}
	if isNode(arguments) {
		place.removeOthers(packed.name())
	}
	err = become(held, arguments, environment)
	if errors.Is(err, syscall.ENOENT) {
		// The loader is named by the place it was unpacked to: the directory was moved since, or removed a moment ago.
		if held, err = place.replace(packed); err != nil {
			return err
		}
		err = become(held, arguments, environment)
	}
	return place.explain(err, packed)
}

// become replaces this process by the program in `held`; it returns only if that fails.
func become(held *directory, arguments, environment []string) error {
	python := filepath.Join(held.path, interpreter)
	command := []string{
		python, "-IS",
		"-X", "onefile=" + ownPath(),
		"-X", fmt.Sprintf("lock=%d", held.fd),
		filepath.Join(held.path, "start.py"),
	}
	err := syscall.Exec(python, append(command, arguments[min(1, len(arguments)):]...), environment)
	switch {
	case errors.Is(err, syscall.ENOENT):
		return err
	case errors.Is(err, syscall.EACCES):
		return notExecutable(held.path)
	default:
		return &problem{"cannot start " + python + ": " + reason(err), ""}
	}
}

// ownPath is where this file lies, for `rke2 lab`.
func ownPath() string {
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(path, " (deleted)")
}

// isNode tells whether a node is to be started: the moment at which what ran before has ended.
func isNode(arguments []string) bool {
	return len(arguments) > 1 && (arguments[1] == "server" || arguments[1] == "agent")
}

// reason is what the system says of an error, without the call and the path.
func reason(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	return err.Error()
}
