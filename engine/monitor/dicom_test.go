package monitor

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/dicom"
)

// imaging is a DICOM peer that knows itself as PACS1, and tells how associations ended.
func imaging(ends chan<- string, verifies bool) func(net.Conn) {
	return func(c net.Conn) {
		in := dicom.NewReader(c, dicom.ReaderOptions{})
		ends <- associate(c, in, verifies)
		untilEOF(c)
	}
}

func associate(c net.Conn, in *dicom.Reader, verifies bool) string {
	unit, err := in.Next()
	request, ok := unit.(*dicom.AssociateRequest)
	if err != nil || !ok {
		return "no request"
	}
	if request.Called != "PACS1" {
		_ = dicom.Write(c, &dicom.Rejected{Result: dicom.RejectedForGood, Source: 1, Reason: 7})
		return "rejected " + request.Calling
	}
	answer := dicom.ContextAnswer{ID: request.Contexts[0].ID, TransferSyntax: dicom.ImplicitLittleEndian}
	if !verifies {
		answer.Result = dicom.ContextNoAbstractSyntax
	}
	_ = dicom.Write(c, &dicom.AssociateAccept{Called: request.Called, Calling: request.Calling, Contexts: []dicom.ContextAnswer{answer}})
	for {
		unit, err := in.Next()
		if err != nil {
			return "cut off"
		}
		switch unit := unit.(type) {
		case *dicom.Transfer:
			asked, err := dicom.DecodeCommand(unit.Values[0].Fragment)
			if err != nil || asked.Field != dicom.EchoRequest {
				return "no echo"
			}
			said := dicom.Command{Field: dicom.EchoResponse, Class: dicom.Verification, MessageID: asked.MessageID}
			value := dicom.Value{Context: answer.ID, Command: true, Last: true, Fragment: dicom.AppendCommand(nil, said)}
			_ = dicom.Write(c, &dicom.Transfer{Values: []dicom.Value{value}})
		case *dicom.ReleaseRequest:
			_ = dicom.Write(c, &dicom.ReleaseResponse{})
			return "released " + request.Calling
		default:
			return "aborted"
		}
	}
}

func TestDICOMEcho(t *testing.T) {
	for name, c := range map[string]struct {
		probe    appliance.DICOMProbe
		verifies bool
		good     bool
		want     string
		end      string
	}{
		"answered":    {appliance.DICOMProbe{Called: "PACS1"}, true, true, "C-ECHO answered in # ms.", "released EVENKEEL"},
		"our name":    {appliance.DICOMProbe{Called: "PACS1", Calling: "LB1"}, true, true, "C-ECHO answered in # ms.", "released LB1"},
		"wrong title": {appliance.DICOMProbe{Called: "OTHER"}, true, false, "Association rejected: called AE title not recognised.", "rejected EVENKEEL"},
		"no title": {
			appliance.DICOMProbe{},
			true, true,
			"The server answers in # ms. Association rejected: called AE title not recognised; name its AE title to check with C-ECHO.", "rejected EVENKEEL",
		},
		"no verification": {
			appliance.DICOMProbe{Called: "PACS1"},
			false, false,
			"Association accepted, but not verification (C-ECHO): abstract syntax not supported.", "released EVENKEEL",
		},
	} {
		t.Run(name, func(t *testing.T) {
			ends := make(chan string, 1)
			to := peer(t, listen(t, "127.0.0.1:0"), imaging(ends, c.verifies))
			m := check(appliance.MonitorDICOM)
			m.DICOM = c.probe
			p, _ := try(t, to, m)
			expect(t, p, c.good, c.want)
			if end := <-ends; end != c.end {
				t.Errorf("the association ended: %s", end)
			}
		})
	}
}

func TestDICOMAgainstOtherServers(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"closes":  {answers(""), "The server closed the connection before it answered the association request."},
		"silent":  {untilEOF, "Port # opened, but an answer in DICOM did not come within 1s."},
		"garbled": {answers("HTTP/1.1 400 Bad Request\r\n\r\n<html>"), "The answer to the association request breaks the DICOM protocol: *"},
		"aborts": {func(c net.Conn) {
			_, _ = dicom.NewReader(c, dicom.ReaderOptions{}).Next()
			_ = dicom.Write(c, &dicom.Aborted{})
			_, _ = io.Copy(io.Discard, c)
		}, "The peer aborted the association, instead of an answer to the association request."},
	} {
		t.Run(name, func(t *testing.T) {
			to := peer(t, listen(t, "127.0.0.1:0"), c.serve)
			m := check(appliance.MonitorDICOM)
			m.Timeout = within(c.want)
			p, _ := try(t, to, m)
			expect(t, p, false, c.want)
		})
	}
}

func TestDICOMOverTLS(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		named  string
		probe  appliance.DICOMProbe
		good   bool
		want   string
		closed string
	}{
		"answered":     {"pacs.example", appliance.DICOMProbe{Called: "PACS1", TLS: true}, true, "C-ECHO answered in # ms.", "released EVENKEEL"},
		"verified":     {"127.0.0.1", appliance.DICOMProbe{Called: "PACS1", TLS: true, Verify: true}, true, "C-ECHO answered in # ms.", "released EVENKEEL"},
		"another name": {"pacs.example", appliance.DICOMProbe{Called: "PACS1", TLS: true, Verify: true}, false, `The certificate is for "pacs.example", not for 127.0.0.1.`, "no request"},
		"in clear":     {"127.0.0.1", appliance.DICOMProbe{Called: "PACS1"}, false, "*", "no request"},
	} {
		t.Run(name, func(t *testing.T) {
			ends := make(chan string, 1)
			config := &tls.Config{Certificates: []tls.Certificate{trusted.issue(t, c.named, now.Add(-time.Hour), now.Add(time.Hour))}}
			to := peer(t, tls.NewListener(listen(t, "127.0.0.1:0"), config), imaging(ends, true))
			m := check(appliance.MonitorDICOM)
			m.DICOM = c.probe
			p, transcript := try(t, to, m)
			expect(t, p, c.good, c.want)
			if end := <-ends; end != c.closed {
				t.Errorf("the association ended: %s", end)
			}
			if c.good && !strings.Contains(transcript, "TLS 1.3, certificate of CN="+c.named) {
				t.Errorf("transcript:\n%s", transcript)
			}
		})
	}
	ends := make(chan string, 1)
	to := peer(t, listen(t, "127.0.0.1:0"), imaging(ends, true))
	m := check(appliance.MonitorDICOM)
	m.DICOM.TLS = true
	p, _ := try(t, to, m)
	expect(t, p, false, "*")
	if end := <-ends; end != "no request" {
		t.Errorf("a server without TLS saw: %s", end)
	}
}
