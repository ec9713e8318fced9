package request

import (
	"net/netip"
	"strconv"
	"strings"

	"evenkeel/appliance"
)

// Text returns the reason phrase of a status that the appliance answers by itself.
func Text(status int) string {
	switch status {
	case 301:
		return "Moved Permanently"
	case 302:
		return "Found"
	case 303:
		return "See Other"
	case 307:
		return "Temporary Redirect"
	case 308:
		return "Permanent Redirect"
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 408:
		return "Request Timeout"
	case 413:
		return "Content Too Large"
	case 417:
		return "Expectation Failed"
	case 410:
		return "Gone"
	case 429:
		return "Too Many Requests"
	case 500:
		return "Internal Server Error"
	case 421:
		return "Misdirected Request"
	case 431:
		return "Request Header Fields Too Large"
	case 501:
		return "Not Implemented"
	case 502:
		return "Bad Gateway"
	case 503:
		return "Service Unavailable"
	case 504:
		return "Gateway Timeout"
	case 505:
		return "HTTP Version Not Supported"
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
