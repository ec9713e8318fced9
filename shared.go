package main

import (
	"context"

	"evenkeel/appliance"
	"evenkeel/appliance/certificates"
	"evenkeel/engine"
	"evenkeel/store"
)

// The secrets that both nodes of a pair have.
const (
	secretCookies = "cookie_key"
	secretTickets = "ticket_keys"
)

// sharedKeys takes up what the other node of a pair gives beside the configuration: certificates, and the keys of persistence cookies and session tickets.
type sharedKeys struct {
	*certificates.Vault
	store  *store.Store
	engine *engine.Engine
}

// Reload makes what is kept count: certificates and tickets at once, cookies with the next apply.
func (k sharedKeys) Reload(ctx context.Context) error {
	if err := k.Vault.Reload(ctx); err != nil {
		return err
	}
	var keys [2][]byte
	for i, name := range []string{secretCookies, secretTickets} {
		value, err := k.store.Secret(ctx, name, nil)
		if err != nil && appliance.KindOf(err) != appliance.NotFound {
			return err
		}
		keys[i] = value
	}
	return k.engine.TakeKeys(keys[0], keys[1])
}

// keepTickets keeps the keys of session tickets, so that sessions resume behind a restart and on the other node.
func (a *instance) keepTickets(keys []byte) {
	if err := a.store.ExchangeSecrets(context.Background(), map[string][]byte{secretTickets: keys}, nil); err != nil {
		a.options.log.Error("keys of session tickets not kept", "component", "main", "error", err)
	}
}

// ownsSettings tells whether this process may change what both nodes of a pair have in common.
func (a *instance) ownsSettings() bool { return !a.replaced.Load() && a.control.Writable() == nil }

// paired tells whether this node is in a pair: both nodes run the same, and a restart of one does not change that.
func (a *instance) paired() bool {
	if a.pair == nil {
		return false
	}
	_, paired := a.pair.members.Current()
	return paired
}
