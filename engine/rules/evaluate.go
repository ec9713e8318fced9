package rules

import (
	"bytes"
	"math"

	"evenkeel/appliance"
	"evenkeel/engine/request"
)

// Evaluator runs programs for one loop; its buffers are used again. The zero value is ready.
type Evaluator struct {
	request *Request
	out     Decision
	table   []line
	path    []byte // decoded
	text    []byte
	now     int64
	listed  bool
	dry     bool
	trace   *Trace // nil: nobody wants to know
	tooLong bool
}

// Decision is what the rules make of a request. It is valid until the evaluator runs again; edits are the program's and stay valid.
type Decision struct {
	Status   int    // to be answered by the appliance itself; 0: the request goes on
	Location []byte // with a redirect
	Retry    int    // seconds, with 429
	Route    int    // where to: 1 for the first of Program.Routes; 0: the service's own pool
	Target   []byte // new path with query; empty: as sent
	Request  []*Edit
	Response []*Edit
	Matched  []int // numbers of the rules that held, in the service's list
}

// Concerns tells whether the rules do anything to a request that goes on, or to its response: then it cannot stand for other requests for the same thing. A nil
// decision concerns nothing.
func (d *Decision) Concerns() bool {
	return d != nil && (d.Route != 0 || len(d.Target)+len(d.Request)+len(d.Response) > 0)
}

// StatusLimited is the answer to a source that asks too often (RFC 6585, 4).
const StatusLimited = 429

// Run looks at the rules from the top. now is any monotonic clock in nanoseconds. A dry run counts nothing.
func (e *Evaluator) Run(p *Program, r *Request, now int64, dry bool) *Decision {
	e.request, e.now, e.dry, e.listed, e.tooLong = r, now, dry, false, false
	e.table, e.path = e.table[:0], e.path[:0]
	d := &e.out
	*d = Decision{Location: d.Location[:0], Target: d.Target[:0], Request: d.Request[:0], Response: d.Response[:0], Matched: d.Matched[:0]}
	for i := range p.rules {
		c := &p.rules[i]
		holds := e.all(c.when)
		if e.trace != nil {
			e.trace.look(e, c, holds)
		}
		if e.tooLong {
			d.Status = 431
			return d
		}
		if !holds {
			continue
		}
		d.Matched = append(d.Matched, c.number)
		for k := range c.actions {
			before := d.Route
			e.do(&c.actions[k])
			if e.trace != nil {
				e.trace.did(c.actions[k].kind, before)
			}
			if d.Status != 0 {
				return d
			}
		}
	}
	return d
}

func (e *Evaluator) all(list []condition) bool {
	for i := range list {
		if !e.holds(&list[i]) {
			return false
		}
	}
	return true
}

func (e *Evaluator) do(a *action) {
	d := &e.out
	switch k := a.kind; {
	case k == appliance.DoPool || k == appliance.DoServer:
		if d.Route == 0 {
			d.Route = a.route
		}
	case k == appliance.DoDeny:
		d.Status = a.status
	case k == appliance.DoRedirect:
		d.Status, d.Location = a.status, oneSlash(a.value.append(d.Location[:0], e.request))
	case k == appliance.DoLimit:
		if wait := a.limit.Take(e.request.Source, e.now, e.dry); wait > 0 {
			d.Status, d.Retry = StatusLimited, int(math.Ceil(wait.Seconds()))
		}
	case k == appliance.DoRewrite:
		e.rewrite(a)
	case k.OnResponse():
		d.Response = append(d.Response, a.edit)
	case k.OnHeader():
		d.Request = append(d.Request, a.edit)
	}
}

// oneSlash keeps a path of the client's from being read as a host: //host/ and /\host/ lead away.
func oneSlash(to []byte) []byte {
	if len(to) == 0 || to[0] != '/' {
		return to
	}
	n := 1
	for n < len(to) && (to[n] == '/' || to[n] == '\\') {
		n++
	}
	return append(to[:1], to[n:]...)
}

// rewrite makes the new target. One that would not be a valid target leaves it as it was.
func (e *Evaluator) rewrite(a *action) {
	d, path := &e.out, []byte(nil)
	_, query := e.request.split()
	if a.find == nil {
		path = a.value.append(e.text[:0], e.request)
	} else {
		if path = d.Target; len(path) == 0 {
			path = e.request.Target
		}
		path, _, _ = bytes.Cut(path, []byte("?"))
		if len(path) > maxMatched {
			d.Status = 431
			return
		}
		if !a.find.Match(path) {
			return
		}
		path = a.find.ReplaceAll(path, a.value.append(nil, e.request))
	}
	e.text = path
	if len(path) == 0 || path[0] != '/' {
		d.Target = append(d.Target[:0], '/')
		d.Target = append(d.Target, path...)
	} else {
		d.Target = append(d.Target[:0], path...)
	}
	if bytes.IndexByte(path, '?') < 0 {
		d.Target = append(d.Target, query...)
	}
	if request.TargetLen(d.Target) != len(d.Target) {
		d.Target = d.Target[:0]
	}
}
