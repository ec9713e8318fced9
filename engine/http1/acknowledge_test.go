package http1

import "testing"

// TestWhoMustSendMoreIsAcknowledged: the kernel keeps the first acknowledgement for the answer, but for a client that has not said all yet.
func TestWhoMustSendMoreIsAcknowledged(t *testing.T) {
	for text, want := range map[string]bool{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n":                            false,
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello": false,
		"GET / HT": true,
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n":                    true,
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel":                 true,
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n":           true,
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n": true,
	} {
		r := newRig(t)
		r.client.Arrive([]byte(text))
		if got := r.client.Acknowledged; got != want {
			t.Errorf("%q: acknowledged at once %v", text, got)
		}
	}
}
