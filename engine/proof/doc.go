// Package proof holds tests that compare the engine with other programs: what it and HAProxy accept of broken requests, and that every server reads what it
// forwards in the same way. And it holds the engine, in a process of its own, against slow, broken and very many clients and servers. It has no code of its own.
package proof
