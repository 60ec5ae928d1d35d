// Program exists is the part of test(1) that the controller runs: `test -f PATH`, to see whether there is IPv6.
// The image has no shell and no coreutils.
package main

import "os"

func main() {
	if len(os.Args) != 3 || os.Args[1] != "-f" {
		os.Exit(2)
	}
	info, err := os.Stat(os.Args[2])
	if err != nil || !info.Mode().IsRegular() {
		os.Exit(1)
	}
}
