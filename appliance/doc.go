// Package appliance is the language of Evenkeel: the configuration, what may be said in it (Validate), how two of them differ (Diff), and
// what is observed (Status). It imports the standard library only, does no I/O and starts no goroutine; every value can be copied and compared.
package appliance
