package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	prefix = "program-"

	// What is being made or removed, hidden: only who holds the lock of the place has such a directory.
	unfinished = ".program-"
	lockFile   = ".program.lock"

	// Statfs tells it by this bit, which package syscall does not name.
	mountedNoexec = 0x8

	// Nor this call, of amd64.
	syncfs = 306

	lockPatience = time.Second
	lockPause    = 10 * time.Millisecond
)

// directory is an unpacked program that this process holds: whoever removes old ones leaves it.
type directory struct {
	path string
	fd   int
}

// prepare gives the unpacked program, and unpacks it if it is not there.
func (p *place) prepare(packed *payload) (*directory, error) {
	for {
		held, err := hold(filepath.Join(p.parent, packed.name()))
		if held != nil || err != nil {
			return held, err
		}
		if err := p.locked(func() error { return p.add(packed) }); err != nil {
			return nil, err
		}
	}
}

// replace unpacks the program again in place of one that cannot be started.
func (p *place) replace(packed *payload) (*directory, error) {
	err := p.locked(func() error {
		if err := p.takeAway(packed.name()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return p.explain(err, packed)
		}
		return p.add(packed)
	})
	if err != nil {
		return nil, err
	}
	return p.prepare(packed)
}

// add unpacks beside the final place and renames. Who holds the lock is the only one who does.
func (p *place) add(packed *payload) error {
	final := filepath.Join(p.parent, packed.name())
	if _, err := os.Lstat(final); err == nil {
		return nil // another first start was faster
	}
	p.sweep()
	if isNoexec(p.parent) {
		return p.explain(notExecutable(p.parent), packed)
	}
	scratch, err := os.MkdirTemp(p.parent, unfinished)
	if err != nil {
		return p.explain(err, packed)
	}
	if err := p.fill(packed, scratch, final); err != nil {
		os.RemoveAll(scratch)
		return p.explain(err, packed)
	}
	p.removeOthersLocked(packed.name())
	return nil
}

func (p *place) fill(packed *payload, scratch, final string) error {
	defer unlimited()()
	if err := packed.unpack(scratch, final); err != nil {
		return err
	}
	if err := os.Chmod(scratch, 0o755); err != nil {
		return err
	}
	// Before the rename, so that after a power failure a directory of this name is whole.
	if err := syncAll(scratch); err != nil {
		return err
	}
	return os.Rename(scratch, final)
}

// unlimited lets files grow to any size, as far as this user may; what it returns puts the limit back. rke2 tells of it.
func unlimited() func() {
	var given syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_FSIZE, &given) != nil {
		return func() {}
	}
	const infinity = ^uint64(0)
	if syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: infinity, Max: infinity}) != nil {
		_ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: given.Max, Max: given.Max})
	}
	return func() { _ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &given) }
}

// syncAll has everything of the file system of `path` on its disk. One call: thousands of files take as many commits.
func syncAll(path string) error {
	opened, err := os.Open(path)
	if err != nil {
		return err
	}
	defer opened.Close()
	if _, _, number := syscall.Syscall(syncfs, opened.Fd(), 0, 0); number != 0 {
		return number
	}
	return nil
}

// locked runs `work` while no other process unpacks or removes in this place.
func (p *place) locked(work func() error) error {
	if err := p.make(); err != nil {
		return p.explain(err, nil)
	}
	lock, err := os.OpenFile(filepath.Join(p.parent, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return p.explain(err, nil)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return p.explain(err, nil)
	}
	return work()
}

// make makes the place and what is above it, as a node's data directory is: others may enter. The umask does not count.
func (p *place) make() error {
	var missing []string
	for path := p.parent; ; path = filepath.Dir(path) {
		if _, err := os.Stat(path); err == nil || !errors.Is(err, os.ErrNotExist) {
			break
		}
		missing = append(missing, path)
	}
	for at := len(missing) - 1; at >= 0; at-- {
		if err := os.Mkdir(missing[at], 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		if err := os.Chmod(missing[at], 0o755); err != nil {
			return err
		}
	}
	return nil
}

// hold opens `path` and keeps others from removing it; nothing if it is not there.
func hold(path string) (*directory, error) {
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(lockPause) {
		// Not closed on exec: the program holds it on.
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
		if errors.Is(err, syscall.ENOENT) {
			return nil, nil
		}
		if err != nil {
			return nil, &problem{"cannot open " + path + ": " + reason(err), ""}
		}
		// Who removes holds it for a moment. Longer does only who wants to keep rke2 from starting: that has no effect.
		locked := syscall.Flock(fd, syscall.LOCK_SH|syscall.LOCK_NB) == nil
		if (locked || time.Now().After(deadline)) && isSame(fd, path) {
			return &directory{path, fd}, nil
		}
		syscall.Close(fd)
	}
}

// isSame tells whether `path` is still what was opened as `fd`.
func isSame(fd int, path string) bool {
	var opened, there syscall.Stat_t
	return syscall.Fstat(fd, &opened) == nil && syscall.Stat(path, &there) == nil &&
		opened.Dev == there.Dev && opened.Ino == there.Ino
}

func isNoexec(path string) bool {
	var about syscall.Statfs_t
	return syscall.Statfs(path, &about) == nil && about.Flags&mountedNoexec != 0
}

// notExecutable is the error of a place from which nothing can be started.
func notExecutable(path string) error {
	how := "is not executable for this user"
	if isNoexec(path) {
		how = "is on a file system that is mounted with `noexec`"
	}
	return &problem{fmt.Sprintf("rke2 cannot be started from %s: it %s", path, how), "mount it with `exec`"}
}

// explain says what keeps the program from being unpacked, and what helps.
func (p *place) explain(err error, packed *payload) error {
	var told *problem
	if errors.As(err, &told) {
		if strings.HasPrefix(told.remedy, "mount") && p.moves != "" {
			return &problem{told.what, told.remedy + ", or " + p.moves}
		}
		return told
	}
	what := fmt.Sprintf("cannot unpack rke2 to %s: %s", p.parent, reason(err))
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return &problem{what + p.space(packed), "free space there, or " + p.moves}
	case errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM):
		return &problem{what, "make it writable, or " + p.moves}
	default:
		return &problem{what, p.moves}
	}
}

func (p *place) space(packed *payload) string {
	var about syscall.Statfs_t
	if packed == nil || syscall.Statfs(p.parent, &about) != nil {
		return ""
	}
	free := about.Bavail * uint64(about.Bsize)
	return fmt.Sprintf(" (%d MiB are needed, %d MiB are free)", packed.size>>20+1, free>>20)
}
