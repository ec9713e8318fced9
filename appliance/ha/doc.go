// Package ha runs a node of a pair: it sends and hears heartbeats on every path, gives what happens to the role machine (package role) and does what that decides,
// through a Kernel that main hands it. Its loop is one goroutine on an operating system thread of its own, of real-time priority where that is allowed; it never
// waits for disk, database, logs, names or pages, and never for another goroutine: facts and settings come in by atomic pointers, everything else by a queue that it
// looks into. What takes longer is done beside it, by two goroutines in the order in which it was asked for: the hands move addresses, the desk writes files.
// Times are readings of CLOCK_BOOTTIME; the wall clock is only shown.
package ha
