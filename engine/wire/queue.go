package wire

import "time"

// Waiter is a core that is willing to wait until there is a place on a server.
type Waiter interface {
	// Turn tells that its wait is over: Pick is to be asked again, with the same ticket. The loop calls it, never from within Pick or Leave, and not after Leave.
	Turn()
}

// Ticket is a waiter's place in the queue of a service.
type Ticket interface {
	// Leave gives it up: the waiter has gone, or has waited long enough. More than once does no harm.
	Leave()
	// Patience is how long its holder may wait in all, as the service says whose servers are waited for.
	Patience() time.Duration
}
