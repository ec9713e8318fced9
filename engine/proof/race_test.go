//go:build race

package proof

// raced says that the race detector is on, which multiplies memory and time.
const raced = true
