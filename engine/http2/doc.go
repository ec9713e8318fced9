// Package http2 speaks HTTP/2 (RFC 9113, RFC 7541, RFC 8441) with clients and with servers. It knows nothing about what is done with a request: each stream is a
// virtual wire.Conn under a core of HTTP/1.1. Towards that core a message is canonical HTTP/1.1, whose bytes it is offered and gives to Send; towards the connection
// below it is frames. So every feature of HTTP Mode holds for HTTP/2 by construction.
//
// What a peer may make us hold or do is bounded: concurrent streams, windows, heads, and one budget for everything that costs us and is of no use (budget.go).
package http2
