// Package persist keeps clients on their server: a bounded table by client address, and sealed cookies. Everything in it is safe for concurrent use, starts no
// goroutine, does no I/O, and gets the time from its caller.
package persist
