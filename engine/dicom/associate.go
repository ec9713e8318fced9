package dicom

import (
	"encoding/binary"
	"math"
	"strings"
)

// Types of items and sub-items, PS3.8 sections 9.3.2 and 9.3.3, annex D and PS3.7 annex D.
const (
	itemApplication     = 0x10
	itemContextRequest  = 0x20
	itemContextAccept   = 0x21
	itemAbstractSyntax  = 0x30
	itemTransferSyntax  = 0x40
	itemUser            = 0x50
	itemMaxLength       = 0x51
	itemImplementation  = 0x52
	itemVersionName     = 0x55
	fixedPart           = 68 // protocol version, AE titles and reserved bytes before the items
	maxAETitle          = 16
	maxTransferSyntaxes = 256 // of one context; products offer some forty
)

// User is what both sides say about themselves in the user information.
type User struct {
	MaxPDU                uint32 // longest P-DATA-TF the sender of this wants; zero means without limit
	ImplementationClass   string // a UID
	ImplementationVersion string // at most 16 characters; may be empty
}

// AssociateRequest is an A-ASSOCIATE-RQ. AE titles are without padding.
type AssociateRequest struct {
	Called, Calling string
	Contexts        []ContextOffer
	User            User
}

// AssociateAccept is an A-ASSOCIATE-AC. The AE titles repeat the request's and are not checked by anyone.
type AssociateAccept struct {
	Called, Calling string
	Contexts        []ContextAnswer
	User            User
}

func decodeRequest(body []byte) (PDU, error) {
	r := &AssociateRequest{}
	err := decodeAssociate(body, &r.Called, &r.Calling, &r.User, func(kind byte, content []byte) error {
		if kind != itemContextRequest {
			return nil
		}
		offer, err := decodeOffer(content)
		if err != nil {
			return err
		}
		for _, other := range r.Contexts {
			if other.ID == offer.ID {
				return nonsense("presentation context %d is proposed twice", offer.ID)
			}
		}
		r.Contexts = append(r.Contexts, offer)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(r.Contexts) == 0 {
		return nil, nonsense("the association request proposes no presentation context")
	}
	return r, nil
}

func decodeAccept(body []byte) (PDU, error) {
	a := &AssociateAccept{}
	err := decodeAssociate(body, &a.Called, &a.Calling, &a.User, func(kind byte, content []byte) error {
		if kind != itemContextAccept {
			return nil
		}
		answer, err := decodeAnswer(content)
		if err != nil {
			return err
		}
		for _, other := range a.Contexts {
			if other.ID == answer.ID {
				return nonsense("presentation context %d is answered twice", answer.ID)
			}
		}
		a.Contexts = append(a.Contexts, answer)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// decodeAssociate reads what request and acceptance share, and hands the other items to context.
func decodeAssociate(body []byte, called, calling *string, user *User, context func(kind byte, content []byte) error) error {
	if len(body) < fixedPart {
		return nonsense("an association unit of %d bytes is too short", len(body))
	}
	if binary.BigEndian.Uint16(body)&1 == 0 {
		return nonsense("protocol version 1 is not offered")
	}
	*called, *calling = trimTitle(body[4:20]), trimTitle(body[20:36])
	seen := map[byte]bool{}
	err := eachItem(body[fixedPart:], func(kind byte, content []byte) error {
		if (kind == itemApplication || kind == itemUser) && seen[kind] {
			return nonsense("item 0x%02X stands twice in an association unit", kind)
		}
		seen[kind] = true
		switch kind {
		case itemApplication:
			if trimUID(content) != ApplicationContext {
				return nonsense("the application context is %.64q", trimUID(content))
			}
			return nil
		case itemUser:
			return decodeUser(content, user)
		}
		return context(kind, content)
	})
	if err != nil {
		return err
	}
	if !seen[itemApplication] || !seen[itemUser] {
		return nonsense("an association unit lacks its application context or user information")
	}
	return nil
}

func decodeUser(content []byte, user *User) error {
	return eachItem(content, func(kind byte, content []byte) error {
		switch kind {
		case itemMaxLength:
			if len(content) != 4 {
				return nonsense("the maximum length has %d bytes, not 4", len(content))
			}
			user.MaxPDU = binary.BigEndian.Uint32(content)
			if user.MaxPDU != 0 && user.MaxPDU < minMaxPDU {
				return nonsense("a maximum length of %d bytes leaves no room", user.MaxPDU)
			}
		case itemImplementation:
			user.ImplementationClass = trimUID(content)
		case itemVersionName:
			user.ImplementationVersion = strings.TrimSpace(string(content))
		}
		return nil
	})
}

func (r *AssociateRequest) appendPDU(dst []byte) ([]byte, error) {
	dst, mark := begin(dst, typeAssociateRequest)
	dst, err := appendAssociate(dst, r.Called, r.Calling)
	if err != nil {
		return nil, err
	}
	for _, c := range r.Contexts {
		if c.ID%2 == 0 {
			return nil, nonsense("presentation context %d is not odd", c.ID)
		}
		content := appendItem([]byte{c.ID, 0, 0, 0}, itemAbstractSyntax, []byte(c.AbstractSyntax))
		for _, syntax := range c.TransferSyntaxes {
			content = appendItem(content, itemTransferSyntax, []byte(syntax))
		}
		if len(content) > math.MaxUint16 {
			return nil, nonsense("presentation context %d is too long", c.ID)
		}
		dst = appendItem(dst, itemContextRequest, content)
	}
	return finish(appendUser(dst, r.User), mark)
}

func (a *AssociateAccept) appendPDU(dst []byte) ([]byte, error) {
	dst, mark := begin(dst, typeAssociateAccept)
	dst, err := appendAssociate(dst, a.Called, a.Calling)
	if err != nil {
		return nil, err
	}
	for _, c := range a.Contexts {
		content := appendItem([]byte{c.ID, 0, byte(c.Result), 0}, itemTransferSyntax, []byte(c.TransferSyntax))
		dst = appendItem(dst, itemContextAccept, content)
	}
	return finish(appendUser(dst, a.User), mark)
}

// appendAssociate appends the part that request and acceptance share, up to the application context.
func appendAssociate(dst []byte, called, calling string) ([]byte, error) {
	if len(called) > maxAETitle || len(calling) > maxAETitle {
		return nil, nonsense("an AE title has at most %d characters", maxAETitle)
	}
	dst = append(dst, 0, 1, 0, 0)
	dst = append(dst, called...)
	dst = append(dst, strings.Repeat(" ", maxAETitle-len(called))...)
	dst = append(dst, calling...)
	dst = append(dst, strings.Repeat(" ", maxAETitle-len(calling))...)
	dst = append(dst, make([]byte, 32)...)
	return appendItem(dst, itemApplication, []byte(ApplicationContext)), nil
}

func appendUser(dst []byte, user User) []byte {
	content := appendItem(nil, itemMaxLength, binary.BigEndian.AppendUint32(nil, user.MaxPDU))
	content = appendItem(content, itemImplementation, []byte(user.ImplementationClass))
	if user.ImplementationVersion != "" {
		content = appendItem(content, itemVersionName, []byte(user.ImplementationVersion))
	}
	return appendItem(dst, itemUser, content)
}

func trimTitle(b []byte) string { return strings.Trim(string(b), " \x00") }
