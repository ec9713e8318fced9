// Package rules is the rules of a service in the form in which a loop runs them: compiled once for each Apply into a Program that all loops share and nobody changes.
// What a loop needs besides, an Evaluator, is its own. Running a program does no I/O and, but for actions that replace by an expression, allocates nothing.
package rules
