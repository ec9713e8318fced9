//go:build race

package engine

// slower is how much the race detector costs.
const slower = 10
