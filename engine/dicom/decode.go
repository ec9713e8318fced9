package dicom

const (
	// maxDepth bounds nested sequences.
	maxDepth = 16
	// maxElements bounds the elements of a data set with everything nested: an identifier has some dozens.
	maxElements = 100_000
)

// DecodeDataSet reads a data set. Values alias b unless the transfer syntax is big endian. Compressed pixels are not
// understood. The only error is *ProtocolError.
func DecodeDataSet(transferSyntax string, b []byte) (DataSet, error) {
	syn, err := syntaxOf(transferSyntax)
	if err != nil {
		return nil, err
	}
	d := &decoder{syntax: syn, rest: b}
	return d.elements(0, false)
}

// decoder walks over the bytes of a data set or, for a length that is defined, of a part of it.
type decoder struct {
	syntax
	rest  []byte
	count int
}

// elements reads until the bytes end or, in an item of undefined length, until its delimiter.
func (d *decoder) elements(depth int, delimited bool) (DataSet, error) {
	if depth > maxDepth {
		return nil, nonsense("sequences are nested more than %d deep", maxDepth)
	}
	var out DataSet
	for len(d.rest) > 0 {
		e, length, err := d.header()
		if err != nil {
			return nil, err
		}
		if e.Tag == tagItemEnd && delimited && length == 0 {
			return out, nil
		}
		if e.Tag>>16 == tagItem>>16 {
			return nil, nonsense("delimiter %s stands where an element must", e.Tag)
		}
		if len(out) > 0 && e.Tag <= out[len(out)-1].Tag {
			return nil, nonsense("element %s is out of order", e.Tag)
		}
		if err := d.content(&e, length, depth); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	if delimited {
		return nil, nonsense("an item of undefined length does not end")
	}
	return out, nil
}

// header reads tag, representation and length.
func (d *decoder) header() (Element, uint32, error) {
	if d.count++; d.count > maxElements {
		return Element{}, 0, nonsense("a data set has more than %d elements", maxElements)
	}
	if len(d.rest) < 8 {
		return Element{}, 0, nonsense("a data set ends within the header of an element")
	}
	e := Element{Tag: Tag(d.order.Uint16(d.rest))<<16 | Tag(d.order.Uint16(d.rest[2:]))}
	if !d.explicit || e.Tag>>16 == tagItem>>16 {
		length := d.order.Uint32(d.rest[4:])
		e.VR = VRof(e.Tag)
		d.rest = d.rest[8:]
		return e, length, nil
	}
	e.VR = VR(d.rest[4:6])
	if !e.VR.valid() {
		return Element{}, 0, nonsense("element %s has no value representation", e.Tag)
	}
	if !e.VR.long() {
		length := uint32(d.order.Uint16(d.rest[6:]))
		d.rest = d.rest[8:]
		return e, length, nil
	}
	if len(d.rest) < 12 {
		return Element{}, 0, nonsense("a data set ends within the header of an element")
	}
	length := d.order.Uint32(d.rest[8:])
	d.rest = d.rest[12:]
	return e, length, nil
}

// content reads the value or the items of e.
func (d *decoder) content(e *Element, length uint32, depth int) error {
	if length != undefinedLength && uint64(length) > uint64(len(d.rest)) {
		return nonsense("element %s announces %d bytes, %d are there", e.Tag, length, len(d.rest))
	}
	switch {
	case e.VR == Sequence, length == undefinedLength && e.VR == Unknown:
		return d.sequence(e, length, depth)
	case length == undefinedLength:
		return nonsense("element %s has no length", e.Tag)
	}
	e.Value = d.swapped(e.VR, d.rest[:length:length])
	d.rest = d.rest[length:]
	return nil
}

// sequence reads the items of e. Unknown with an undefined length is a sequence in implicit VR little endian, PS3.5 section 6.2.2.
func (d *decoder) sequence(e *Element, length uint32, depth int) error {
	inner := d
	outer := d.rest
	if length != undefinedLength {
		inner = &decoder{syntax: d.syntax, rest: d.rest[:length], count: d.count}
	} else if e.VR == Unknown {
		inner = &decoder{rest: d.rest, count: d.count}
		inner.syntax, _ = syntaxOf(ImplicitLittleEndian)
	}
	e.VR = Sequence
	if err := inner.items(e, length == undefinedLength, depth); err != nil {
		return err
	}
	d.count = inner.count
	switch {
	case length != undefinedLength:
		d.rest = outer[length:]
	case inner != d:
		d.rest = inner.rest
	}
	return nil
}

// items reads items until the bytes end or, in a sequence of undefined length, until its delimiter.
func (d *decoder) items(e *Element, delimited bool, depth int) error {
	for len(d.rest) > 0 {
		head, length, err := d.header()
		if err != nil {
			return err
		}
		switch {
		case head.Tag == tagSequenceEnd && delimited && length == 0:
			return nil
		case head.Tag != tagItem:
			return nonsense("element %s stands where an item must", head.Tag)
		}
		item, err := d.item(length, depth+1)
		if err != nil {
			return err
		}
		e.Items = append(e.Items, item)
	}
	if delimited {
		return nonsense("sequence %s of undefined length does not end", e.Tag)
	}
	return nil
}

func (d *decoder) item(length uint32, depth int) (DataSet, error) {
	if length == undefinedLength {
		return d.elements(depth, true)
	}
	if uint64(length) > uint64(len(d.rest)) {
		return nil, nonsense("an item announces %d bytes, %d are there", length, len(d.rest))
	}
	inner := &decoder{syntax: d.syntax, rest: d.rest[:length], count: d.count}
	set, err := inner.elements(depth, false)
	d.count, d.rest = inner.count, d.rest[length:]
	return set, err
}
