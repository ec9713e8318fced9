package ha

import (
	"errors"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/role"
)

// obstructed keeps what this node has said of itself about why it does not own the addresses, until that is over.
func obstructed(before, r role.Record) role.Record {
	switch r.Code {
	case role.StaysUnhealthy, role.StaysBare, role.WitnessSilent, role.OwnerAnswers, role.AddressesRefused, role.RenewGaveUp, role.HealthGone, role.RivalProbes, role.LeftToPeer:
		return r
	case role.TookOver, role.TookVacant, role.Elected, role.Given, role.PeerHeard, role.PeerBack, role.PeerOwns, role.PeerRestarted:
		return role.Record{}
	case role.HealthBack:
		if before.Code == role.StaysUnhealthy || before.Code == role.HealthGone {
			return role.Record{}
		}
	case role.Forced: // the witness is not needed any more
		if before.Code == role.WitnessSilent {
			return role.Record{}
		}
	}
	return before
}

// obstacle says what keeps a command from coming about, as far as this node knows.
func (n *Node) obstacle() string {
	s := n.seen.Load()
	if s.running && s.barred.Code != "" {
		return sentenceOf(s.barred)
	}
	return n.sentence(s)
}

// explained adds to a command that was too late what holds it up.
func (n *Node) explained(err error) error {
	var e *appliance.Error
	if !errors.As(err, &e) || e.Kind != appliance.Unavailable || e.Err == nil {
		return err
	}
	told := *e
	told.Message += " " + n.obstacle()
	return &told
}
