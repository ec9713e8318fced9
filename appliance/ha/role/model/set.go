package model

import "hash/maphash"

// set remembers fingerprints of 64 bits: eight bytes for a situation, in a table of fixed size.
type set struct {
	seed  maphash.Seed
	table []uint64
	mask  uint64
}

func newSet(most int) *set {
	size := 1 << 10
	for size < 2*most {
		size *= 2
	}
	return &set{seed: maphash.MakeSeed(), table: make([]uint64, size), mask: uint64(size - 1)}
}

// add tells whether the fingerprint is new.
func (s *set) add(print uint64) bool {
	print |= 1 << 63 // never zero, which is an empty place
	for at := print * 0x9e3779b97f4a7c15 >> 7 & s.mask; ; at = (at + 1) & s.mask {
		switch s.table[at] {
		case 0:
			s.table[at] = print
			return true
		case print:
			return false
		}
	}
}
