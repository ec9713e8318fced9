package wiretest

import (
	"bytes"
	"strconv"

	"evenkeel/engine/wire"
)

// Recorder is a wire.Recorder that keeps a copy of every record.
type Recorder struct {
	Records []wire.Record
	blank   wire.Record
	last    uint64
}

// NewID implements wire.Recorder.
func (r *Recorder) NewID() uint64 { r.last++; return r.last }

// AppendID implements wire.Recorder.
func (r *Recorder) AppendID(dst []byte, id uint64) []byte {
	return strconv.AppendUint(append(dst, "id-"...), id, 10)
}

// Lines implements wire.Recorder.
func (r *Recorder) Lines() bool { return true }

// Blank implements wire.Recorder.
func (r *Recorder) Blank() *wire.Record { r.blank = wire.Record{}; return &r.blank }

// Record implements wire.Recorder.
func (r *Recorder) Record(one *wire.Record) {
	kept := *one
	kept.Line = bytes.Clone(one.Line)
	r.Records = append(r.Records, kept)
}
