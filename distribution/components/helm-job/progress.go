package main

import (
	"fmt"
	"os"
	"strings"
)

// progress tells what is being done, on stdout and as the container's termination message, which the
// kubelet reads from the end of a file (at most its last 4096 bytes).
type progress struct {
	termination *os.File // nil outside of a container
}

func openProgress(path string) *progress {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return &progress{}
	}
	return &progress{termination: file}
}

func (p *progress) say(format string, args ...any) {
	line := "helm-job: " + strings.TrimSpace(fmt.Sprintf(format, args...)) + "\n"
	fmt.Print(line)
	if p.termination != nil {
		_, _ = p.termination.WriteString(line)
	}
}
