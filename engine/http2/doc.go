// Package http2 speaks HTTP/2 (RFC 9113, RFC 7541, RFC 8441) with clients and with servers. It knows nothing about what is done with a request: each stream is a
// virtual wire.Conn under a core of HTTP/1.1. Towards that core a message is canonical HTTP/1.1, whose bytes it is offered and gives to Send; towards the connection
// below it is frames. So every feature of HTTP Mode holds for HTTP/2 by construction.
//
// Sections: framing and states RFC 9113, 4 to 6; messages 8.1 to 8.3 (names and values 8.2.1, fields of a connection 8.2.2, cookies 8.2.3, pseudo-fields 8.3.1); ending
// 6.8 and 8.1; a request that was not looked at 8.7; the extended CONNECT RFC 8441, 4 and 5; encoding by the static table alone RFC 7541, 6.2.2 and appendix A.
//
// What a peer may make us hold or do is bounded: concurrent streams, windows, heads, and one budget for everything that costs us and is of no use (budget.go).
package http2
