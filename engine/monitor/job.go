package monitor

import (
	"net"
	"regexp"
	"strconv"
	"time"

	"evenkeel/appliance"
)

// subject is what is checked and how: when it changes, nothing that was seen before counts. Subjects are equal when they compare equal.
type subject struct {
	kind     appliance.MonitorKind
	host     string
	port     uint16
	http     appliance.HTTPProbe
	dicom    appliance.DICOMProbe
	hl7      appliance.HL7Probe
	smtp     appliance.SMTPProbe
	dns      appliance.DNSProbe
	database appliance.DatabaseProbe
	grpc     appliance.GRPCProbe
	script   string // the body
	vip      string // for scripts only
	vipPort  uint16
}

// job is a subject and its cadence.
type job struct {
	subject
	interval, timeout time.Duration
	rise, fall        int
}

// newJob reads the check of one server; what is zero there gets its default, so that a Test of a half-filled form runs.
func newJob(s *appliance.VirtualService, r *appliance.RealServer, scripts []appliance.Script) job {
	mon := s.Monitor
	standard := appliance.NewMonitor(mon.Kind)
	j := job{
		subject:  subject{kind: mon.Kind, host: string(r.Address), port: checkPort(s, r)},
		interval: mon.Interval.D(), timeout: mon.Timeout.D(), rise: max(mon.Rise, 1), fall: max(mon.Fall, 1),
	}
	if j.interval <= 0 {
		j.interval = standard.Interval.D()
	}
	if j.timeout <= 0 {
		j.timeout = standard.Timeout.D()
	}
	switch mon.Kind {
	case appliance.MonitorHTTP, appliance.MonitorHTTPS:
		j.http = mon.HTTP
	case appliance.MonitorDICOM:
		j.dicom = mon.DICOM
	case appliance.MonitorHL7:
		j.hl7 = mon.HL7
	case appliance.MonitorSMTP:
		j.smtp = mon.SMTP
	case appliance.MonitorDNS:
		j.dns = mon.DNS
	case appliance.MonitorMySQL:
		j.database = mon.MySQL
	case appliance.MonitorPostgreSQL:
		j.database = mon.PostgreSQL
	case appliance.MonitorGRPC:
		j.grpc = mon.GRPC
	case appliance.MonitorScript:
		j.vip, j.vipPort = vipOf(s), firstPort(s)
		for i := range scripts {
			if scripts[i].ID == mon.Script {
				j.script = scripts[i].Body
			}
		}
	case appliance.MonitorNone:
		j.subject = subject{kind: mon.Kind}
	}
	return j
}

// checkPort is the check's own port, else the server's, else the first one of the service.
func checkPort(s *appliance.VirtualService, r *appliance.RealServer) uint16 {
	switch {
	case s.Monitor.Port != 0:
		return s.Monitor.Port
	case r.Port != 0:
		return r.Port
	}
	return firstPort(s)
}

// vipOf returns the address of a service for a script; of a pool, which has none, 0.0.0.0.
func vipOf(s *appliance.VirtualService) string {
	if s.PoolOnly {
		return "0.0.0.0"
	}
	return s.Address.String()
}

func firstPort(s *appliance.VirtualService) uint16 {
	if len(s.Ports) == 0 {
		return 0
	}
	return s.Ports[0].First
}

func (j *job) unchecked() bool { return j.kind == appliance.MonitorNone }

func (j *job) address() string { return net.JoinHostPort(j.host, strconv.Itoa(int(j.port))) }

// prepared is a job with what is worth working out once.
type prepared struct {
	job
	codes   appliance.Ports // accepted status codes
	content *regexp.Regexp  // nil when the content is plain text or not looked at
	broken  string          // why the check cannot be made as it stands, or ""
}

// acceptedCodes is what HTTPProbe.Codes means when it is empty.
const acceptedCodes = "200-399"

func prepare(j job) prepared {
	p := prepared{job: j}
	if j.kind != appliance.MonitorHTTP && j.kind != appliance.MonitorHTTPS {
		return p
	}
	if p.http.Codes == "" {
		p.http.Codes = acceptedCodes
	}
	var err error
	if p.codes, err = appliance.ParsePorts(p.http.Codes); err != nil {
		p.broken = "The accepted codes of this check are not a list of codes"
	}
	if j.http.ContentRegexp {
		if p.content, err = regexp.Compile(j.http.Content); err != nil {
			p.broken = "The content of this check is not a regular expression"
		}
	}
	return p
}
