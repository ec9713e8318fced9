package dicom

import "encoding/binary"

// ContextOffer is one proposed presentation context.
type ContextOffer struct {
	ID               byte // odd
	AbstractSyntax   string
	TransferSyntaxes []string // at least one, in order of preference
}

// ContextAnswer is the answer to one proposed presentation context.
type ContextAnswer struct {
	ID             byte
	Result         ContextResult
	TransferSyntax string // means nothing unless accepted
}

// eachItem walks over items: type, a reserved byte, a length of two bytes, content.
func eachItem(items []byte, visit func(kind byte, content []byte) error) error {
	for len(items) > 0 {
		if len(items) < 4 {
			return nonsense("an association unit ends within the header of an item")
		}
		end := 4 + int(binary.BigEndian.Uint16(items[2:]))
		if end > len(items) {
			return nonsense("item 0x%02X of %d bytes does not fit its unit", items[0], end-4)
		}
		if err := visit(items[0], items[4:end]); err != nil {
			return err
		}
		items = items[end:]
	}
	return nil
}

func decodeOffer(content []byte) (ContextOffer, error) {
	if len(content) < 4 || content[0]%2 == 0 {
		return ContextOffer{}, nonsense("a presentation context has no odd id")
	}
	offer := ContextOffer{ID: content[0]}
	err := eachItem(content[4:], func(kind byte, content []byte) error {
		uid := trimUID(content)
		if !validUID(uid) {
			return nonsense("presentation context %d holds %.64q where a UID must stand", offer.ID, uid)
		}
		switch {
		case kind == itemAbstractSyntax && offer.AbstractSyntax == "":
			offer.AbstractSyntax = uid
		case kind == itemTransferSyntax && len(offer.TransferSyntaxes) < maxTransferSyntaxes:
			offer.TransferSyntaxes = append(offer.TransferSyntaxes, uid)
		default:
			return nonsense("presentation context %d holds an unexpected item 0x%02X", offer.ID, kind)
		}
		return nil
	})
	if err != nil {
		return ContextOffer{}, err
	}
	if offer.AbstractSyntax == "" || len(offer.TransferSyntaxes) == 0 {
		return ContextOffer{}, nonsense("presentation context %d lacks its abstract syntax or transfer syntaxes", offer.ID)
	}
	return offer, nil
}

func decodeAnswer(content []byte) (ContextAnswer, error) {
	if len(content) < 4 || content[0]%2 == 0 {
		return ContextAnswer{}, nonsense("a presentation context has no odd id")
	}
	answer := ContextAnswer{ID: content[0], Result: ContextResult(content[2])}
	err := eachItem(content[4:], func(kind byte, content []byte) error {
		if kind != itemTransferSyntax || answer.TransferSyntax != "" {
			return nonsense("presentation context %d holds an unexpected item 0x%02X", answer.ID, kind)
		}
		answer.TransferSyntax = trimUID(content)
		return nil
	})
	if err != nil {
		return ContextAnswer{}, err
	}
	// What stands in a refused context means nothing; some products leave it out or empty.
	if answer.Result != ContextAccepted {
		answer.TransferSyntax = ""
	} else if !validUID(answer.TransferSyntax) {
		return ContextAnswer{}, nonsense("presentation context %d is accepted without a transfer syntax", answer.ID)
	}
	return answer, nil
}

func appendItem(dst []byte, kind byte, content []byte) []byte {
	dst = append(dst, kind, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(content)))
	return append(dst, content...)
}
