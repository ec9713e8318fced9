//go:build race

package ha

// slower is how much the race detector costs.
const slower = 10
