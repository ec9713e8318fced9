// Package host is the only part of Evenkeel that changes the operating system, and the one that knows the machine: it puts the addresses of virtual services on the
// interface whose network holds them and takes them off again, it makes the rules that bring answers to clients' own addresses here, and it reads the machine's figures. Everything else asks it.
//
// An address that the machine had before is never changed and never removed. Those that were added here are written down, so that a process that was killed finds
// them at its next start; a restart of the machine clears both.
package host

import (
	"context"
	"log/slog"
	"os"
	"sync"

	"evenkeel/appliance"
)

// Options says how a Host is made. Every field may be zero.
type Options struct {
	Log  *slog.Logger // nil: silent
	Dir  string       // folder of the file in which added addresses are remembered; empty: they are forgotten when the process ends
	Disk string       // a path on the file system whose room Load tells; empty: Dir, or / without one
}

// Host changes and reads the machine (more exactly: the network namespace of the thread that calls). It is safe for concurrent use.
type Host struct {
	log  *slog.Logger
	dir  string
	disk string

	mu        sync.Mutex // held while addresses or rules are changed; guards what follows
	ours      ours
	diversion diversion

	loadMu sync.Mutex // guards last
	last   ticks
}

// New returns a Host. It changes nothing yet.
func New(options Options) *Host {
	h := &Host{log: options.Log, dir: options.Dir, disk: options.Disk}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.disk == "" {
		h.disk = h.dir
	}
	if h.disk == "" {
		h.disk = "/"
	}
	return h
}

// Hostname returns the name of the machine.
func (h *Host) Hostname(context.Context) (string, error) {
	name, err := os.Hostname()
	if err != nil {
		return "", &appliance.Error{Kind: appliance.Internal, Op: "read hostname", Err: err}
	}
	return name, nil
}
