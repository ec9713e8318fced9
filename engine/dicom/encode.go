package dicom

import "math"

// AppendDataSet appends the encoded data set; sequences and items get defined lengths, values are padded to an even length.
// The only error is *ProtocolError: a transfer syntax that is not supported, or a value that its representation cannot hold.
func AppendDataSet(dst []byte, transferSyntax string, set DataSet) ([]byte, error) {
	syn, err := syntaxOf(transferSyntax)
	if err != nil {
		return nil, err
	}
	return syn.appendSet(dst, set)
}

func (s syntax) appendSet(dst []byte, set DataSet) ([]byte, error) {
	for _, e := range set {
		value := s.swapped(e.VR, e.Value)
		if e.VR == Sequence {
			var err error
			if value, err = s.appendItems(nil, e.Items); err != nil {
				return nil, err
			}
		}
		length := len(value) + len(value)%2
		if uint64(length) >= undefinedLength || s.explicit && !e.VR.long() && length > math.MaxUint16 {
			return nil, nonsense("element %s of %d bytes is too long", e.Tag, length)
		}
		if s.explicit && !e.VR.valid() {
			return nil, nonsense("element %s has no value representation", e.Tag)
		}
		dst = s.appendHeader(dst, e, length)
		dst = append(dst, value...)
		if len(value)%2 != 0 {
			dst = append(dst, e.VR.padding())
		}
	}
	return dst, nil
}

func (s syntax) appendItems(dst []byte, items []DataSet) ([]byte, error) {
	for _, item := range items {
		content, err := s.appendSet(nil, item)
		if err != nil {
			return nil, err
		}
		dst = s.appendTag(dst, tagItem)
		dst = s.order.AppendUint32(dst, uint32(len(content)))
		dst = append(dst, content...)
	}
	return dst, nil
}

func (s syntax) appendHeader(dst []byte, e Element, length int) []byte {
	dst = s.appendTag(dst, e.Tag)
	if !s.explicit {
		return s.order.AppendUint32(dst, uint32(length))
	}
	dst = append(dst, e.VR...)
	if !e.VR.long() {
		return s.order.AppendUint16(dst, uint16(length))
	}
	dst = append(dst, 0, 0)
	return s.order.AppendUint32(dst, uint32(length))
}

func (s syntax) appendTag(dst []byte, tag Tag) []byte {
	dst = s.order.AppendUint16(dst, uint16(tag>>16))
	return s.order.AppendUint16(dst, uint16(tag))
}
