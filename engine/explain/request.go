package explain

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/engine/http1"
	"evenkeel/engine/peek"
	"evenkeel/engine/request"
	"evenkeel/engine/rules"
	"evenkeel/engine/wire"
)

// head is what the client sends.
func (w *account) head() []byte {
	q := w.question
	host, target := q.Split()
	method := q.Method
	if method == "" {
		method = "GET"
	}
	if host == "" {
		host = w.Local.String()
	}
	var b strings.Builder
	b.WriteString(method + " " + target + " HTTP/1.1\r\n")
	if !names(q.Headers, "host") {
		b.WriteString("Host: " + host + "\r\n")
	}
	for _, line := range q.Headers {
		b.WriteString(line + "\r\n")
	}
	if q.Cookies != "" {
		b.WriteString("Cookie: " + q.Cookies + "\r\n")
	}
	return []byte(b.String() + "\r\n")
}

func names(list []string, name string) bool {
	for _, line := range list {
		if got, _, _ := strings.Cut(line, ":"); strings.EqualFold(got, name) {
			return true
		}
	}
	return false
}

func (w *account) readHTTP() bool {
	head := w.head()
	w.out.Request = string(head)
	w.preview = http1.PreviewOptions{
		Config: w.Service, Program: w.Program, Head: head, Client: w.client, Local: w.Local, Secure: w.secure, TLSName: w.tlsName, Now: w.Now,
	}
	v := http1.PreviewRequest(w.preview)
	switch {
	case !v.Refused.OK():
		w.out.Status = v.Refused.Status
		return w.stop("request", "The request is refused with %d %s: %s.", v.Refused.Status, request.Text(v.Refused.Status), v.Refused.Reason)
	case v.Redirected:
		w.answered(v, "request", fmt.Sprintf("Clients in clear are sent to https with %d %s.", v.Status, request.Text(v.Status)))
		return false
	}
	w.tellRules(&v.Trace, v.Status)
	if v.Answer != nil {
		w.answered(v, "rules", fmt.Sprintf("A rule answers with %d %s; no server is asked.", v.Status, request.Text(v.Status)))
		return false
	}
	if v.Kept {
		w.note("request", "The service keeps responses: when it has a fresh one for this request, it gives that, and no server is asked.")
	}
	w.query, w.out.Sent = v.Query, string(v.Sent)
	w.previewAnswer(&v)
	return true
}

// answered ends the explanation: the appliance answers by itself.
func (w *account) answered(v http1.Preview, subject, sentence string) {
	w.step(subject, appliance.MarkStop, "%s", sentence)
	w.out.By, w.out.Sentence, w.out.Status, w.out.Answer = appliance.ByAppliance, sentence, v.Status, string(v.Answer)
}

// previewAnswer shows what becomes of the server's answer. Without rules that look at it, and without one that was given, there is nothing to show.
func (w *account) previewAnswer(v *http1.Preview) {
	lines := w.question.Answer
	if len(v.Edits) == 0 && len(lines) == 0 {
		return
	}
	status := w.question.AnswerStatus()
	given := "HTTP/1.1 " + strconv.Itoa(status) + " " + request.Text(status) + "\r\n"
	for i, line := range lines {
		if i > 0 {
			given += line + "\r\n"
		}
	}
	if !names(lines, "content-length") && !names(lines, "transfer-encoding") {
		given += "Content-Length: 0\r\n"
	}
	given += "\r\n"
	answer, verdict := http1.PreviewAnswer(w.preview, []byte(given), v.Edits)
	w.out.Given = given
	if !verdict.OK() {
		w.note("answer", "Such an answer of the server is not passed on: %s. The client gets %d.", verdict.Reason, verdict.Status)
		return
	}
	w.out.Answer = string(answer)
}

// readSession is readHTTP of TCP Mode and UDP Mode, where nothing is sent on but what the client sends.
func (w *account) readSession() bool {
	w.query = wire.Query{Client: w.client, Port: w.Local.Port(), TLSName: strings.ToLower(w.asked()), Dry: true}
	if w.Program != nil {
		r := rules.OfConnection(w.client.Addr(), w.Local.Port(), w.query.TLSName)
		d, trace := new(rules.Evaluator).Explain(w.Program, &r, int64(w.Now))
		w.tellRules(&trace, d.Status)
		if d.Status != 0 {
			return w.stop("rules", "A rule turns the client away: the connection is closed.")
		}
		w.query.Rule = d.Route // that the loop finds by itself, too
	}
	switch w.Service.Persistence.Kind {
	case appliance.PersistTLSSession:
		w.query.Session, _ = hex.DecodeString(w.question.Session)
		w.query.BySource = len(w.query.Session) == 0
	case appliance.PersistRDPCookie:
		w.showRDP()
	}
	return true
}

// showRDP reads the cookie as it is read off the wire: within the connection request of an RDP client (MS-RDPBCGR 2.2.1.1).
func (w *account) showRDP() {
	body := ""
	if w.question.RDP != "" {
		body = "Cookie: " + w.question.RDP + "\r\n"
	}
	const fixed = 11 // TPKT, and X.224 without what is variable
	packet := append([]byte{3, 0, byte((fixed + len(body)) >> 8), byte(fixed + len(body)), byte(fixed - 5 + len(body)), 0xe0, 0, 0, 0, 0, 0}, body...)
	r, _ := peek.RDP(packet)
	w.query.Session, w.query.Route = []byte(strings.ToLower(string(r.User))), r.Route
	w.query.BySource = r.User == nil && !r.Route.IsValid()
}
