package main

import "encoding/binary"

const (
	distanceLength = 4

	// Of ELF: where its header tells of sections, what a section's header has where, and what marks machine code.
	sectionsAt, sectionSizeAt, sectionCountAt = 40, 58, 60
	typeAt, flagsAt, offsetAt, lengthAt       = 4, 8, 24, 32
	sectionHeader                             = 64
	inFile, executable                        = 1, 4
)

// Bytes that begin an instruction with a distance, by distribution/builder/onefile/branches.py.
const (
	none = iota
	branch
	memory   // if the next byte says that the memory is beside the code
	indirect // if the next byte is one of two
)

var kinds = func() (table [256]byte) {
	for _, operation := range "\x03\x0b\x13\x1b\x23\x2b\x33\x3b\x38\x39\x3a\x63" +
		"\x10\x11\x12\x16\x28\x29\x54\x57\x58\x59\x5c\x5e\x6f\x7f" {
		table[operation] = memory
	}
	for _, operation := range []byte("\x84\x85\x88\x89\x8a\x8b\x8d\xb6\xb7\xbe\xbf\xd4\xef\xfe") {
		table[operation] = memory
	}
	table[0xe8], table[0xe9], table[0xff] = branch, branch, indirect
	return table
}()

// relative puts distances back into the machine code of an ELF file, where the builder has put places because they
// compress better. Each step undoes one of the builder's, in the other order.
func relative(program []byte) {
	for _, part := range codeOf(program) {
		for at := part.begin; at < part.end; at++ {
			distance := at + opcodeLength(program[at:part.end])
			if distance == at || distance+distanceLength > part.end {
				continue
			}
			if highest := program[distance+3]; highest != 0 && highest != 0xff {
				continue
			}
			place := int32(binary.LittleEndian.Uint32(program[distance:]))
			// 25 bits with a sign.
			binary.LittleEndian.PutUint32(program[distance:], uint32((place-int32(distance))<<7>>7))
		}
	}
}

// opcodeLength is that of what stands before a distance; 0 if `code` does not begin with such an instruction.
func opcodeLength(code []byte) int {
	kind := kinds[code[0]]
	switch {
	case kind == none:
		return 0
	case kind == branch:
		return 1
	case len(code) == 1:
		return 0
	case kind == memory && code[1]&0xc7 == 0x05, kind == indirect && (code[1] == 0x15 || code[1] == 0x25):
		return 2
	}
	return 0
}

type span struct{ begin, end int }

// codeOf tells where the sections with machine code are. A damaged program is found by its checksum, not here.
func codeOf(program []byte) (found []span) {
	if len(program) < sectionHeader {
		return nil
	}
	start := binary.LittleEndian.Uint64(program[sectionsAt:])
	size := uint64(binary.LittleEndian.Uint16(program[sectionSizeAt:]))
	count := uint64(binary.LittleEndian.Uint16(program[sectionCountAt:]))
	total := uint64(len(program))
	for ; count > 0 && start < total && total-start >= sectionHeader; count, start = count-1, start+size {
		header := program[start:]
		kind, flags := binary.LittleEndian.Uint32(header[typeAt:]), binary.LittleEndian.Uint64(header[flagsAt:])
		offset, length := binary.LittleEndian.Uint64(header[offsetAt:]), binary.LittleEndian.Uint64(header[lengthAt:])
		if kind == inFile && flags&executable != 0 && offset <= total && length <= total-offset {
			found = append(found, span{int(offset), int(offset + length)})
		}
	}
	return found
}
