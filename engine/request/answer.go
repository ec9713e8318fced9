package request

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"evenkeel/appliance"
)

// Text returns the reason phrase of a status, "Error" for one that has none.
func Text(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Error"
}

// Sentence returns the body of such an answer, for a person who reads it in a browser.
func Sentence(status int) string {
	switch status {
	case 301, 302, 303, 307, 308:
		return "The page is elsewhere.\n"
	case 404, 410:
		return "There is nothing here.\n"
	case 429:
		return "Too many requests. Please wait a little.\n"
	case 408:
		return "The request did not arrive in time.\n"
	case 431:
		return "The request head is too large.\n"
	case 502:
		return "The server gave no valid answer.\n"
	case 503:
		return "No server can answer at the moment. Please try again soon.\n"
	case 504:
		return "The server did not answer in time.\n"
	}
	return "The request was refused.\n"
}

// AppendAnswer appends a whole HTTP/1.1 answer that closes the connection. Without a body (for HEAD) the length of the body is said all the same.
func AppendAnswer(dst []byte, status int, body bool) []byte {
	return appendAnswer(dst, Verdict{Status: status}, body, "text/plain", Sentence(status))
}

// AppendPage is AppendAnswer for a verdict, with a page of the operator's own unless that is empty.
func AppendPage(dst []byte, v Verdict, body bool, page string) []byte {
	if page == "" {
		return appendAnswer(dst, v, body, "text/plain", Sentence(v.Status))
	}
	filled := strings.NewReplacer(appliance.ErrorPageStatus, strconv.Itoa(v.Status), appliance.ErrorPageReason, Text(v.Status)).Replace(page)
	return appendAnswer(dst, v, body, "text/html", filled)
}

func appendAnswer(dst []byte, v Verdict, body bool, kind, text string) []byte {
	status := v.Status
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, Text(status)...)
	dst = append(append(append(dst, "\r\nContent-Type: "...), kind...), "; charset=utf-8\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(text)), 10)
	dst = append(dst, "\r\nCache-Control: no-store\r\n"...)
	if v.Retry > 0 {
		dst = append(strconv.AppendInt(append(dst, "Retry-After: "...), int64(v.Retry), 10), "\r\n"...)
	}
	if status == 405 {
		dst = append(dst, "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"...)
	}
	dst = append(dst, "Connection: close\r\n\r\n"...)
	if body {
		dst = append(dst, text...)
	}
	return dst
}

// AppendAddr appends the client's address as X-Forwarded-For has it: no port, no brackets, IPv4 in its own form.
func AppendAddr(dst []byte, a netip.Addr) []byte { return a.Unmap().WithZone("").AppendTo(dst) }
