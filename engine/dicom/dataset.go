package dicom

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
	"strings"
)

// Element is one element of a data set.
type Element struct {
	Tag   Tag
	VR    VR        // Unknown when implicit VR left it open
	Value []byte    // numbers are little endian, whatever they travelled as; nil for a sequence
	Items []DataSet // of a sequence
}

// Text returns the value without padding.
func (e Element) Text() string { return strings.TrimRight(string(e.Value), " \x00") }

// DataSet is a list of elements with ascending tags.
type DataSet []Element

// Get returns the element of a tag.
func (s DataSet) Get(tag Tag) (Element, bool) {
	i := sort.Search(len(s), func(i int) bool { return s[i].Tag >= tag })
	if i < len(s) && s[i].Tag == tag {
		return s[i], true
	}
	return Element{}, false
}

// Text returns the value of a tag without padding, empty when it is absent.
func (s DataSet) Text(tag Tag) string {
	e, _ := s.Get(tag)
	return e.Text()
}

// NewDataSet returns the elements in order of their tags. A tag that stands twice keeps its first element.
func NewDataSet(elements ...Element) DataSet {
	s := slices.Clone(elements)
	slices.SortStableFunc(s, func(a, b Element) int { return cmp.Compare(a.Tag, b.Tag) })
	return slices.CompactFunc(s, func(a, b Element) bool { return a.Tag == b.Tag })
}

// Text returns an element of text; its representation comes from the dictionary.
func Text(tag Tag, value string) Element {
	return Element{Tag: tag, VR: VRof(tag), Value: []byte(value)}
}

// Number returns an element of one 16-bit number.
func Number(tag Tag, value uint16) Element {
	return Element{Tag: tag, VR: UnsignedShort, Value: binary.LittleEndian.AppendUint16(nil, value)}
}

// Items returns a sequence.
func Items(tag Tag, items ...DataSet) Element {
	return Element{Tag: tag, VR: Sequence, Items: items}
}

// syntax is how a transfer syntax writes elements.
type syntax struct {
	explicit bool
	order    interface {
		binary.ByteOrder
		binary.AppendByteOrder
	}
}

// Supported reports whether data sets in the transfer syntax can be decoded and encoded here.
func Supported(transferSyntax string) bool {
	_, err := syntaxOf(transferSyntax)
	return err == nil
}

func syntaxOf(transferSyntax string) (syntax, error) {
	switch transferSyntax {
	case ImplicitLittleEndian:
		return syntax{explicit: false, order: binary.LittleEndian}, nil
	case ExplicitLittleEndian:
		return syntax{explicit: true, order: binary.LittleEndian}, nil
	case ExplicitBigEndian:
		return syntax{explicit: true, order: binary.BigEndian}, nil
	}
	return syntax{}, nonsense("transfer syntax %.64s cannot be read here", transferSyntax)
}

// swapped returns the value with the bytes of its numbers in the other order when the syntax is not little endian.
func (s syntax) swapped(vr VR, value []byte) []byte {
	width := vr.width()
	if s.order.String() == binary.LittleEndian.String() || width == 0 {
		return value
	}
	out := slices.Clone(value)
	for i := 0; i+width <= len(out); i += width {
		slices.Reverse(out[i : i+width])
	}
	return out
}
