// Package http1 is the core of HTTP Mode for HTTP/1.0 and 1.1 clients and HTTP/1.1 servers: one validating scan of each head, canonical output, keep-alive on both
// sides, bodies that are moved and not interpreted, and the rules for what happens when one side is slow, silent, broken or hostile (RFC 9110, RFC 9112).
// It does no I/O (see package wire) and does not allocate for a request once its loop is warm.
package http1
