package beat

import "golang.org/x/net/bpf"

// headerOfUDP stands before the payload where a filter of a UDP socket looks.
const headerOfUDP = 8

// Filter returns a classic BPF program for a UDP socket (SO_ATTACH_FILTER): the kernel then drops what has the wrong length or magic, or none of these clusters,
// before it costs a wake-up. Without clusters every one passes.
func Filter(clusters ...ID) ([]bpf.RawInstruction, error) {
	program := []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtLen},
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: headerOfUDP + Size, SkipFalse: 3},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: headerOfUDP + Most, SkipTrue: 2},
		bpf.LoadAbsolute{Off: headerOfUDP + offMagic, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: magic, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
	for _, c := range clusters {
		program = append(program,
			bpf.LoadAbsolute{Off: headerOfUDP + offCluster, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(c >> 32), SkipTrue: 3},
			bpf.LoadAbsolute{Off: headerOfUDP + offCluster + 4, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(c), SkipTrue: 1},
			bpf.RetConstant{Val: 1 << 16},
		)
	}
	last := bpf.RetConstant{Val: 0}
	if len(clusters) == 0 {
		last.Val = 1 << 16
	}
	return bpf.Assemble(append(program, last))
}
