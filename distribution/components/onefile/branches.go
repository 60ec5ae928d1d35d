package main

import "encoding/binary"

const branchLength = 5

// relative puts distances back into the branches of machine code, where distribution/builder/onefile/branches.py has put
// places because they compress better. Each step undoes one of those, in the other order.
func relative(program []byte) {
	for at := 0; at+branchLength <= len(program); at++ {
		highest := program[at+4]
		if program[at]&0xfe != 0xe8 || highest != 0 && highest != 0xff {
			continue
		}
		place := int32(binary.LittleEndian.Uint32(program[at+1:]))
		// 25 bits with a sign.
		binary.LittleEndian.PutUint32(program[at+1:], uint32((place-int32(at))<<7>>7))
	}
}
