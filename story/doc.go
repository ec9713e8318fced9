// Package story holds the tests that see the whole program from outside: they build the binary, start it as users do, and drive it with real clients
// (DCMTK, curl, Chromium) and real failures (kill -9, full disk, busy ports). It has no code of its own.
package story
