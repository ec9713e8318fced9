package engine

import (
	"evenkeel/engine/wire"
)

// Dial implements wire.Service: it puts together what a server's connection goes through, from the inside to the outside.
func (s *shard) Dial(c wire.Choice, _ wire.Conn, core wire.Core) (wire.Conn, error) {
	dial := func(core wire.Core) (wire.Conn, error) { return s.lane.loop.Dial(c.Address, core) }
	if seat := c.Server.Owner.(*seat); seat.secure != nil {
		return s.dialTLS(seat.secure, core, dial)
	}
	return dial(core)
}
