//go:build !race

package ha

const slower = 1
