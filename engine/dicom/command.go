package dicom

import (
	"encoding/binary"
	"fmt"
)

// CommandField says what a command set asks or answers, PS3.7 annex E.
type CommandField uint16

// The commands that are understood. An answer is its request with the highest bit set.
const (
	StoreRequest  CommandField = 0x0001
	StoreResponse CommandField = 0x8001
	FindRequest   CommandField = 0x0020
	FindResponse  CommandField = 0x8020
	EchoRequest   CommandField = 0x0030
	EchoResponse  CommandField = 0x8030
	CancelRequest CommandField = 0x0FFF
)

// IsResponse reports whether c answers.
func (c CommandField) IsResponse() bool { return c&0x8000 != 0 }

// Response returns the answer to request c.
func (c CommandField) Response() CommandField { return c | 0x8000 }

// Status is the verdict of an answer, PS3.7 annex C and the service's annex in PS3.4.
type Status uint16

// The verdicts that are given here.
const (
	Success               Status = 0x0000
	OutOfResources        Status = 0xA700
	IdentifierMismatch    Status = 0xA900
	CannotUnderstand      Status = 0xC000
	Pending               Status = 0xFF00
	SOPClassNotSupported  Status = 0x0122
	InvalidInstance       Status = 0x0117
	UnrecognizedOperation Status = 0x0211
)

// String returns the verdict in words with its number.
func (s Status) String() string {
	words := "a failure"
	switch {
	case s == Success:
		words = "success"
	case s == SOPClassNotSupported:
		words = "SOP class not supported"
	case s == InvalidInstance:
		words = "invalid object instance"
	case s == UnrecognizedOperation:
		words = "unrecognised operation"
	case s&0xFF00 == OutOfResources:
		words = "out of resources"
	case s&0xFF00 == IdentifierMismatch:
		words = "identifier does not match SOP class"
	case s&0xF000 == CannotUnderstand:
		words = "cannot understand"
	case s == Pending, s == Pending|1:
		words = "pending"
	case s == 0x0110:
		words = "processing failure"
	}
	return fmt.Sprintf("status 0x%04X (%s)", uint16(s), words)
}

// Values of the data set type, PS3.7 section 9.3: only absence has a fixed value.
const (
	noDataSet   uint16 = 0x0101
	withDataSet uint16 = 0x0001
)

// Command is a command set: the fields that C-ECHO, C-STORE and C-FIND use. Elements that it does not name are dropped.
type Command struct {
	Field       CommandField
	Class       string // affected SOP class UID
	Instance    string // affected SOP instance UID, C-STORE only
	MessageID   uint16 // of a request; of an answer the id of its request
	Priority    uint16 // of C-STORE and C-FIND requests; zero is medium
	HasDataSet  bool   // a data set follows
	Status      Status // of an answer
	Comment     string // of an answer, at most 64 characters
	OfferedBy   string // move originator's AE title, C-STORE requests after a C-MOVE only
	OfferedByID uint16 // move originator's message id
}

// Elements of command sets, PS3.7 annex E.
const (
	tagGroupLength     Tag = 0x0000_0000
	tagClass           Tag = 0x0000_0002
	tagCommandField    Tag = 0x0000_0100
	tagMessageID       Tag = 0x0000_0110
	tagRespondedTo     Tag = 0x0000_0120
	tagPriority        Tag = 0x0000_0700
	tagDataSetType     Tag = 0x0000_0800
	tagStatus          Tag = 0x0000_0900
	tagErrorComment    Tag = 0x0000_0902
	tagInstance        Tag = 0x0000_1000
	tagMoveOriginator  Tag = 0x0000_1030
	tagMoveOriginateID Tag = 0x0000_1031
)

// maxErrorComment is the length of an LO.
const maxErrorComment = 64

// DecodeCommand reads a command set. Elements must ascend and fit. The group length is not held against the content,
// because products exist that count it wrong and nothing depends on it. The only error is *ProtocolError.
func DecodeCommand(b []byte) (Command, error) {
	var c Command
	var hasField, hasID bool
	var last Tag
	for first := true; len(b) > 0; first = false {
		if len(b) < 8 {
			return Command{}, nonsense("a command set ends within an element")
		}
		tag := Tag(binary.LittleEndian.Uint16(b))<<16 | Tag(binary.LittleEndian.Uint16(b[2:]))
		length := uint64(binary.LittleEndian.Uint32(b[4:]))
		switch {
		case tag>>16 != 0:
			return Command{}, nonsense("a command set holds element %s", tag)
		case !first && tag <= last:
			return Command{}, nonsense("element %s of a command set is out of order", tag)
		case length > uint64(len(b)-8):
			return Command{}, nonsense("element %s of a command set announces %d bytes, %d are there", tag, length, len(b)-8)
		}
		value := b[8 : 8+length]
		if err := c.take(tag, value); err != nil {
			return Command{}, err
		}
		hasField = hasField || tag == tagCommandField
		hasID = hasID || tag == tagMessageID || tag == tagRespondedTo
		last, b = tag, b[8+length:]
	}
	if !hasField || !hasID {
		return Command{}, nonsense("a command set lacks its command or its message id")
	}
	return c, nil
}

// take stores one element.
func (c *Command) take(tag Tag, value []byte) error {
	switch tag {
	case tagClass:
		c.Class = trimUID(value)
		return nil
	case tagInstance:
		c.Instance = trimUID(value)
		return nil
	case tagErrorComment:
		c.Comment = trimTitle(value)
		return nil
	case tagMoveOriginator:
		c.OfferedBy = trimTitle(value)
		return nil
	case tagCommandField, tagMessageID, tagRespondedTo, tagPriority, tagDataSetType, tagStatus, tagMoveOriginateID:
	default:
		return nil
	}
	if len(value) != 2 {
		return nonsense("element %s of a command set has %d bytes, not 2", tag, len(value))
	}
	n := binary.LittleEndian.Uint16(value)
	switch tag {
	case tagCommandField:
		c.Field = CommandField(n)
	case tagMessageID, tagRespondedTo:
		c.MessageID = n
	case tagPriority:
		c.Priority = n
	case tagDataSetType:
		c.HasDataSet = n != noDataSet
	case tagStatus:
		c.Status = Status(n)
	case tagMoveOriginateID:
		c.OfferedByID = n
	}
	return nil
}

// AppendCommand appends the encoded command set with its group length: implicit VR little endian, as PS3.7 section 6.3.1 says.
func AppendCommand(dst []byte, c Command) []byte {
	dst = appendShortElement(dst, tagGroupLength, 0, 0)
	mark := len(dst)
	if c.Class != "" {
		dst = appendTextElement(dst, tagClass, c.Class, 0)
	}
	dst = appendShortElement(dst, tagCommandField, uint16(c.Field))
	if c.Field.IsResponse() || c.Field == CancelRequest {
		dst = appendShortElement(dst, tagRespondedTo, c.MessageID)
	} else {
		dst = appendShortElement(dst, tagMessageID, c.MessageID)
	}
	if c.Field == StoreRequest || c.Field == FindRequest {
		dst = appendShortElement(dst, tagPriority, c.Priority)
	}
	set := noDataSet
	if c.HasDataSet {
		set = withDataSet
	}
	dst = appendShortElement(dst, tagDataSetType, set)
	if c.Field.IsResponse() {
		dst = appendShortElement(dst, tagStatus, uint16(c.Status))
	}
	if c.Comment != "" {
		dst = appendTextElement(dst, tagErrorComment, c.Comment[:min(len(c.Comment), maxErrorComment)], ' ')
	}
	if c.Instance != "" {
		dst = appendTextElement(dst, tagInstance, c.Instance, 0)
	}
	if c.OfferedBy != "" {
		dst = appendTextElement(dst, tagMoveOriginator, c.OfferedBy, ' ')
		dst = appendShortElement(dst, tagMoveOriginateID, c.OfferedByID)
	}
	binary.LittleEndian.PutUint32(dst[mark-4:], uint32(len(dst)-mark))
	return dst
}

// appendShortElement appends an element of 16-bit numbers.
func appendShortElement(dst []byte, tag Tag, values ...uint16) []byte {
	dst = appendImplicitHeader(dst, tag, 2*len(values))
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint16(dst, v)
	}
	return dst
}

// appendTextElement appends an element of text, padded to an even length.
func appendTextElement(dst []byte, tag Tag, text string, padding byte) []byte {
	dst = appendImplicitHeader(dst, tag, len(text)+len(text)%2)
	dst = append(dst, text...)
	if len(text)%2 != 0 {
		dst = append(dst, padding)
	}
	return dst
}

func appendImplicitHeader(dst []byte, tag Tag, length int) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, uint16(tag>>16))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(tag))
	return binary.LittleEndian.AppendUint32(dst, uint32(length))
}
