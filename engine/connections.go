package engine

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"evenkeel/appliance"
	"evenkeel/engine/loop"
	"evenkeel/engine/wire"
)

// lookAt is how many descriptors a loop looks at before it does something else.
const lookAt = 256

// Connections lists the open connections of clients. Each loop is asked in short steps, so that none is held up; what comes or goes meanwhile is seen or not. No more is
// kept than was asked for. An error is the context's, or says that the engine is stopping (kind Unavailable).
func (e *Engine) Connections(ctx context.Context, q appliance.ConnectionQuery) (appliance.ConnectionList, error) {
	if q.Limit <= 0 {
		q.Limit = usualRows
	}
	rows := first[glimpse]{n: max(q.Offset, 0) + q.Limit, order: orderOfConnections(q)}
	if err := e.glimpses(ctx, q, rows.add); err != nil {
		return appliance.ConnectionList{}, err
	}
	list := rows.from(max(q.Offset, 0))
	out := appliance.ConnectionList{Connections: make([]appliance.Connection, len(list)), Total: rows.total}
	for i := range list {
		out.Connections[i] = list[i].Connection
	}
	return out, nil
}

// CloseConnection asks the session of one connection to end politely: at once, or behind the answer that is being given. Kind NotFound: it is gone.
func (e *Engine) CloseConnection(ctx context.Context, id string) error {
	gone := &appliance.Error{Kind: appliance.NotFound, Op: "close connection", Subject: id, Message: "There is no such connection.", Hint: "It may have ended meanwhile."}
	lane, number, datagrams, ok := readID(id)
	if !ok || !e.runs() || lane >= len(e.lanes) {
		return gone
	}
	found, n := false, e.lanes[lane]
	if err := n.loop.Call(ctx, func() {
		if datagrams {
			found = n.clients.end(number)
		} else {
			found = n.loop.End(number)
		}
	}); err != nil {
		return err
	}
	if !found {
		return gone
	}
	return nil
}

func connectionID(lane int, number uint64) string { return fmt.Sprintf("%d-%x", lane, number) }

// clientID names a client of UDP Mode, which has no connection.
func clientID(lane int, number uint64) string { return fmt.Sprintf("%d-u%x", lane, number) }

// readID reads what connectionID or clientID wrote, and nothing else.
func readID(id string) (lane int, number uint64, datagrams, ok bool) {
	if n, err := fmt.Sscanf(id, "%d-u%x", &lane, &number); n == 2 && err == nil {
		return lane, number, true, lane >= 0 && id == clientID(lane, number)
	}
	n, err := fmt.Sscanf(id, "%d-%x", &lane, &number)
	return lane, number, false, n == 2 && err == nil && lane >= 0 && id == connectionID(lane, number)
}

// runs tells whether the loops were made.
func (e *Engine) runs() bool {
	select {
	case <-e.started:
		return true
	default:
		return false
	}
}

// glimpse is a connection with the labels of what it uses.
type glimpse struct {
	appliance.Connection
	service, server string
}

// glimpses shows every connection that a query chooses.
func (e *Engine) glimpses(ctx context.Context, q appliance.ConnectionQuery, see func(glimpse)) error {
	if !e.runs() {
		return nil
	}
	q.Text = strings.ToLower(q.Text)
	for _, n := range e.lanes {
		for _, look := range []func(from int, see func(glimpse)) int{n.lookAtConnections, n.lookAtClients} {
			if err := n.glimpses(ctx, look, func(g glimpse) bool { return chooses(&q, &g) }, see); err != nil {
				return err
			}
		}
	}
	return nil
}

// glimpses shows what one loop has, by short looks.
func (n *lane) glimpses(ctx context.Context, look func(from int, see func(glimpse)) int, wanted func(glimpse) bool, see func(glimpse)) error {
	for from := 0; from >= 0; {
		var some []glimpse
		err := n.loop.Call(ctx, func() {
			from = look(from, func(g glimpse) {
				if wanted(g) {
					some = append(some, g)
				}
			})
		})
		if err != nil {
			return err
		}
		for i := range some {
			see(some[i])
		}
	}
	return nil
}

func (n *lane) lookAtConnections(from int, see func(glimpse)) int {
	return n.loop.Look(from, lookAt, func(s loop.Sight) {
		if g, ok := n.glimpse(s); ok {
			see(g)
		}
	})
}

func (n *lane) lookAtClients(from int, see func(glimpse)) int {
	return n.clients.look(from, lookAt, func(a *association) { see(a.glimpse()) })
}

func (n *lane) glimpse(s loop.Sight) (glimpse, bool) {
	shard, ours := s.Acceptor.(*shard)
	if !ours || shard.config == nil {
		return glimpse{}, false
	}
	told := wire.Session{State: "open"}
	if s.Core == nil {
		told.State = "closing"
	} else if t, tells := s.Core.(wire.Teller); tells {
		t.Tell(&told)
	}
	g := glimpse{service: shard.config.Label, Connection: appliance.Connection{
		ID: connectionID(n.number, s.Number), Client: s.Peer, Local: s.Local, ServiceID: shard.service.id, Protocol: shard.config.Protocol, TLS: told.TLS,
		State: told.State, Age: max(n.loop.Now().Sub(s.Began), 0), BytesIn: s.Received, BytesOut: s.Sent,
	}}
	if told.Client.IsValid() {
		g.Client = told.Client
	}
	if told.Server != nil {
		g.ServerID, g.server = told.Server.ID, told.Server.Label
	}
	return g, true
}

func chooses(q *appliance.ConnectionQuery, g *glimpse) bool {
	switch {
	case q.Service != "" && g.ServiceID != q.Service, q.Server != "" && g.ServerID != q.Server, q.Client.IsValid() && !q.Client.Contains(g.Client.Addr().Unmap()):
		return false
	case q.Text == "":
		return true
	}
	for _, text := range []string{g.Client.String(), strings.ToLower(g.State), strings.ToLower(g.service), strings.ToLower(g.server)} {
		if strings.Contains(text, q.Text) {
			return true
		}
	}
	return false
}

func orderOfConnections(q appliance.ConnectionQuery) func(a, b glimpse) int {
	by := func(a, b glimpse) int { return cmp.Compare(b.Age, a.Age) }
	switch q.Sort {
	case appliance.ConnectionsByAge:
		by = func(a, b glimpse) int { return cmp.Compare(a.Age, b.Age) }
	case appliance.ConnectionsByClient:
		by = func(a, b glimpse) int { return a.Client.Compare(b.Client) }
	case appliance.ConnectionsByService:
		by = func(a, b glimpse) int { return strings.Compare(a.service, b.service) }
	case appliance.ConnectionsByServer:
		by = func(a, b glimpse) int { return strings.Compare(a.server, b.server) }
	case appliance.ConnectionsByIn:
		by = func(a, b glimpse) int { return cmp.Compare(a.BytesIn, b.BytesIn) }
	case appliance.ConnectionsByOut:
		by = func(a, b glimpse) int { return cmp.Compare(a.BytesOut, b.BytesOut) }
	case appliance.ConnectionsByState:
		by = func(a, b glimpse) int { return strings.Compare(a.State, b.State) }
	}
	sign := 1
	if q.Reverse {
		sign = -1
	}
	return func(a, b glimpse) int { return cmp.Or(sign*by(a, b), strings.Compare(a.ID, b.ID)) }
}

// Tell implements wire.Teller.
func (g *greeting) Tell(s *wire.Session) { s.State = "PROXY header" }
