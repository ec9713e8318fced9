package dicom

import (
	"encoding/binary"
	"math"
)

// decodeBody reads what follows a unit's header.
func decodeBody(kind byte, body []byte) (PDU, error) {
	switch kind {
	case typeAssociateRequest:
		return decodeRequest(body)
	case typeAssociateAccept:
		return decodeAccept(body)
	case typeAssociateReject:
		return &Rejected{Result: body[1], Source: body[2], Reason: body[3]}, nil
	case typeTransfer:
		return decodeTransfer(body)
	case typeReleaseRequest:
		return &ReleaseRequest{}, nil
	case typeReleaseResponse:
		return &ReleaseResponse{}, nil
	}
	return &Aborted{Source: body[2], Reason: body[3]}, nil
}

// decodeTransfer reads the values of a P-DATA-TF, PS3.8 section 9.3.5 and annex E.
func decodeTransfer(body []byte) (PDU, error) {
	t := &Transfer{}
	for len(body) > 0 {
		if len(body) < valueHeader {
			return nil, nonsense("a P-DATA-TF ends within the header of a value")
		}
		length := uint64(binary.BigEndian.Uint32(body))
		if length < 2 || length > uint64(len(body)-4) {
			return nil, nonsense("a value of %d bytes does not fit its P-DATA-TF", length)
		}
		id, control := body[4], body[5]
		if id%2 == 0 {
			return nil, nonsense("presentation context %d is not odd", id)
		}
		end := 4 + int(length)
		t.Values = append(t.Values, Value{Context: id, Command: control&1 != 0, Last: control&2 != 0, Fragment: body[valueHeader:end:end]})
		body = body[end:]
	}
	if len(t.Values) == 0 {
		return nil, nonsense("a P-DATA-TF is empty")
	}
	return t, nil
}

func (t *Transfer) appendPDU(dst []byte) ([]byte, error) {
	if len(t.Values) == 0 {
		return nil, nonsense("a P-DATA-TF must hold a value")
	}
	dst, mark := begin(dst, typeTransfer)
	for _, v := range t.Values {
		if v.Context%2 == 0 {
			return nil, nonsense("presentation context %d is not odd", v.Context)
		}
		dst = appendValueHeader(dst, v.Context, v.Command, v.Last, len(v.Fragment))
		dst = append(dst, v.Fragment...)
	}
	return finish(dst, mark)
}

// appendValueHeader appends what precedes a fragment of n bytes.
func appendValueHeader(dst []byte, context byte, command, last bool, n int) []byte {
	var control byte
	if command {
		control |= 1
	}
	if last {
		control |= 2
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(n)+2)
	return append(dst, context, control)
}

func (*ReleaseRequest) appendPDU(dst []byte) ([]byte, error) {
	return append(dst, typeReleaseRequest, 0, 0, 0, 0, 4, 0, 0, 0, 0), nil
}

func (*ReleaseResponse) appendPDU(dst []byte) ([]byte, error) {
	return append(dst, typeReleaseResponse, 0, 0, 0, 0, 4, 0, 0, 0, 0), nil
}

func (r *Rejected) appendPDU(dst []byte) ([]byte, error) {
	return append(dst, typeAssociateReject, 0, 0, 0, 0, 4, 0, r.Result, r.Source, r.Reason), nil
}

func (a *Aborted) appendPDU(dst []byte) ([]byte, error) {
	return append(dst, typeAbort, 0, 0, 0, 0, 4, 0, 0, a.Source, a.Reason), nil
}

// begin appends a unit's header; mark is where its body starts, for finish.
func begin(dst []byte, kind byte) (out []byte, mark int) {
	dst = append(dst, kind, 0, 0, 0, 0, 0)
	return dst, len(dst)
}

// finish writes the length of the body that starts at mark.
func finish(dst []byte, mark int) ([]byte, error) {
	n := len(dst) - mark
	if uint64(n) > math.MaxUint32 {
		return nil, nonsense("a unit of %d bytes is too long", n)
	}
	binary.BigEndian.PutUint32(dst[mark-4:], uint32(n))
	return dst, nil
}
