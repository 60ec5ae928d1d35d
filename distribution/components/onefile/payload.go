package main

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

const (
	// The end of the file; distribution/builder/onefile/payload.py writes it.
	magic      = "rke2file"
	footerSize = 8 + 8 + 8 + 32
	hashDigits = 16

	interpreter = "bin/rke2"
	loader      = "lib/ld-linux-x86-64.so.2"

	// In place of the loader's path in the interpreter: the path is known only where it is unpacked.
	loaderMark  = "/where-rke2-is-unpacked"
	loaderSpace = 1000

	elfMagic = "\x7fELF"

	bufferSize = 1 << 20
)

// payload is the packed program: a tar stream, compressed by zstd.
type payload struct {
	stream io.ReaderAt
	start  int64
	length int64
	size   int64 // of what is unpacked, in bytes
	hash   [32]byte
}

// findPayload reads the last bytes of `file`.
func findPayload(file *os.File) (*payload, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	footer := make([]byte, footerSize)
	if _, err := file.ReadAt(footer, info.Size()-footerSize); err != nil || string(footer[:8]) != magic {
		return nil, damaged("its end is missing")
	}
	found := &payload{stream: file, start: int64(binary.LittleEndian.Uint64(footer[8:])),
		size: int64(binary.LittleEndian.Uint64(footer[16:]))}
	copy(found.hash[:], footer[24:])
	found.length = info.Size() - footerSize - found.start
	if found.start <= 0 || found.length <= 0 {
		return nil, damaged("its end is not as it was made")
	}
	return found, nil
}

func damaged(how string) error {
	return &problem{"this file is damaged: " + how, "download it again and compare its checksum"}
}

// name is that of the directory it is unpacked to.
func (p *payload) name() string {
	return prefix + hex.EncodeToString(p.hash[:])[:hashDigits]
}

// unpack writes everything below `directory`, which is going to be called `final`.
func (p *payload) unpack(directory, final string) error {
	stream, err := zstd.NewReader(io.NewSectionReader(p.stream, p.start, p.length))
	if err != nil {
		return damaged(err.Error())
	}
	defer stream.Close()
	members := tar.NewReader(stream)
	for {
		member, err := members.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return damaged(err.Error())
		}
		if err := write(member, members, directory, final); err != nil {
			return err
		}
	}
}

// write makes one file, directory or link. Modes are those of the archive, whatever the umask is.
func write(member *tar.Header, content io.Reader, directory, final string) error {
	path := filepath.Join(directory, filepath.Clean("/"+member.Name))
	mode := os.FileMode(member.Mode).Perm()
	switch {
	case member.Typeflag == tar.TypeDir:
		if err := os.Mkdir(path, 0o700); err != nil {
			return err
		}
		return os.Chmod(path, mode)
	case member.Typeflag == tar.TypeSymlink:
		return os.Symlink(member.Linkname, path)
	}
	start := make([]byte, len(elfMagic))
	if count, err := io.ReadFull(content, start); err != nil || string(start) != elfMagic {
		return writeFile(path, mode, io.MultiReader(bytes.NewReader(start[:count]), content))
	}
	return writeProgram(path, mode, start, content, strings.TrimPrefix(path, directory+"/"), final)
}

func writeFile(path string, mode os.FileMode, content io.Reader) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.CopyBuffer(onlyWriter{file}, content, copyBuffer[:]); err != nil {
		if errors.Is(err, zstd.ErrCRCMismatch) || errors.Is(err, io.ErrUnexpectedEOF) {
			return damaged(err.Error())
		}
		return err
	}
	if err := file.Chmod(mode); err != nil {
		return err
	}
	return file.Close()
}

var copyBuffer [bufferSize]byte

// onlyWriter hides a file's own way of copying, which would make a buffer for each.
type onlyWriter struct{ io.Writer }

// writeProgram writes machine code as it runs. An ELF file can name its loader by an absolute path only, so the
// interpreter gets it here.
func writeProgram(path string, mode os.FileMode, start []byte, content io.Reader, name, final string) error {
	rest, err := io.ReadAll(content)
	if err != nil {
		return damaged(err.Error())
	}
	program := append(start, rest...)
	relative(program)
	if name == interpreter {
		if err := nameLoader(program, filepath.Join(final, loader)); err != nil {
			return err
		}
	}
	return writeFile(path, mode, bytes.NewReader(program))
}

// nameLoader writes `path` and NULs over the mark in `program`.
func nameLoader(program []byte, path string) error {
	at := bytes.Index(program, []byte(loaderMark))
	if at < 0 || at+loaderSpace > len(program) {
		return damaged("its interpreter has no place for the name of its loader")
	}
	if len(path) >= loaderSpace {
		return &problem{fmt.Sprintf("%s: longer than %d bytes", path, loaderSpace-1), "use a shorter data directory"}
	}
	space := program[at : at+loaderSpace]
	clear(space)
	copy(space, path)
	return nil
}
