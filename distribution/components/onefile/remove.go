package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// removeOthers removes programs of other versions that nothing runs from. What fails is tried by a later start.
func (p *place) removeOthers(kept string) {
	if !p.hasOthers(kept) {
		return
	}
	lock, err := os.OpenFile(filepath.Join(p.parent, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	defer lock.Close()
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		p.removeOthersLocked(kept)
	}
}

func (p *place) hasOthers(kept string) bool {
	for _, name := range p.names(prefix) {
		if name != kept {
			return true
		}
	}
	return false
}

func (p *place) removeOthersLocked(kept string) {
	for _, name := range p.names(prefix) {
		if name != kept {
			p.removeUnused(name)
		}
	}
}

// removeUnused removes a program unless something runs from it. Starts hold it by a lock; what they started in turn need
// not, but then it is the interpreter in it. Our own lock is kept until it is gone: a start that comes too late sees that.
func (p *place) removeUnused(name string) {
	path := filepath.Join(p.parent, name)
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer syscall.Close(fd)
	if syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB) == nil && !isExecuted(filepath.Join(path, interpreter)) {
		_ = p.takeAway(name)
	}
}

// isExecuted compares files, not paths: a process of a container sees the same file elsewhere.
func isExecuted(program string) bool {
	var wanted, found syscall.Stat_t
	if syscall.Stat(program, &wanted) != nil {
		return false
	}
	processes, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, exe := range processes {
		if syscall.Stat(exe, &found) == nil && found.Dev == wanted.Dev && found.Ino == wanted.Ino {
			return true
		}
	}
	return false
}

// takeAway removes a program: its name at once, then its files.
func (p *place) takeAway(name string) error {
	hidden, err := os.MkdirTemp(p.parent, unfinished)
	if err != nil {
		return err
	}
	defer os.RemoveAll(hidden)
	return os.Rename(filepath.Join(p.parent, name), filepath.Join(hidden, name))
}

// sweep removes what killed starts have left.
func (p *place) sweep() {
	for _, name := range p.names(unfinished) {
		os.RemoveAll(filepath.Join(p.parent, name))
	}
}

// names are those in the place that begin with `start`.
func (p *place) names(start string) []string {
	entries, _ := os.ReadDir(p.parent)
	var found []string
	for _, entry := range entries {
		if entry.IsDir() && strings.HasPrefix(entry.Name(), start) {
			found = append(found, entry.Name())
		}
	}
	return found
}
