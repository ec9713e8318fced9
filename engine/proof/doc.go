// Package proof holds tests that compare the engine with other programs: what it and HAProxy accept of broken requests, and that every server reads what it
// forwards in the same way. It has no code of its own.
package proof
