package main

import (
	"fmt"
	"io"
	"time"
)

// logger writes lines with their time.
type logger struct {
	level int // of -v
	out   io.Writer
}

func (l *logger) say(format string, args ...any) {
	fmt.Fprintf(l.out, "%s %s\n", time.Now().UTC().Format(time.RFC3339), fmt.Sprintf(format, args...))
}

// detail is for those who asked for so much.
func (l *logger) detail(level int, format string, args ...any) {
	if level <= l.level {
		l.say(format, args...)
	}
}
