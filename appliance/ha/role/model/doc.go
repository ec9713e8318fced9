// Package model runs the role machine of package role where time, network, kernel and faults are made up: a simulation that follows one
// schedule of faults for each seed, and an explorer that visits every interleaving of a few faults on a coarse grid of time. Both drive role.Step
// itself, and both watch the pair's invariants:
//
//	I1  at no instant two nodes hold a lease that has not ended, with the addresses on
//	I2  an owner within a bound, while one node is healthy and connected and nothing changes
//	I3  at most one change of owner for one fault
//
// The kernel is modelled by what it promises: a lease ends by its own clock, whether the process lives or not, and addresses without a lease are mute.
// The limits that package role states (both nodes cut off from each other but not from their witness; an owner that is cut off between ⅔ of a lease
// and the patience after the heartbeat was cut) are left out of the schedules; everything else may come together.
package model
