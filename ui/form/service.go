package form

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"evenkeel/appliance"
)

// Section is a part of the form that folds; closed, it says its value.
type Section struct {
	ID, Name string
	Fields   []Field
	Holds    []string             // further paths, of what is drawn in another way; a bracket at the end stands for all below it
	Only     []appliance.Protocol // counts in these modes only; empty: in all
	summary  func(*appliance.VirtualService) string
}

// Sections returns the parts of the form below the first fields.
func Sections(scripts []appliance.Script) []Section {
	list := []Section{
		{ID: "balance", Name: "Balance mode", Fields: balanceFields(), summary: sayBalance},
		{ID: "persistence", Name: "Persistence", Fields: persistenceFields(), summary: sayPersistence},
		{ID: "check", Name: "Health check", Fields: checkFields(scripts), summary: sayCheck},
		{ID: "fallback", Name: "Fallback server", Fields: fallbackFields(), summary: sayFallback},
		{ID: "http", Name: "Protocol", Fields: httpFields(), Only: []appliance.Protocol{appliance.HTTP}, summary: sayHTTP},
		{ID: "neighbours", Name: "Source address and PROXY protocol", Fields: neighbourFields(), summary: sayNeighbours},
		{ID: "rules", Name: "Rules", Holds: []string{"rules", "rules["}, summary: sayRules},
		{ID: "limits", Name: "Limits and times", Fields: limitFields(), summary: sayLimits},
	}
	return slices.Insert(list, 4, tlsSections()...)
}

// FirstFields returns the four fields that are enough for a service.
func FirstFields() []Field { return firstFields() }

// Summary says the section's value in a few words, and how many values differ from the default.
func (s Section) Summary(service *appliance.VirtualService) string {
	fresh, differ := appliance.NewService(service.Protocol), 0
	for i, f := range s.Fields {
		if i > 0 && f.get(service) != f.get(&fresh) {
			differ++
		}
	}
	out := s.summary(service)
	if differ > 0 {
		verb := " differ"
		if differ == 1 {
			verb = " differs"
		}
		out += " · " + count(differ, "value") + verb + " from the default"
	}
	return out
}

func sayBalance(s *vs) string {
	if s.Mode == appliance.Failover {
		return "failover: the first server that is up"
	}
	if s.Scheduler == appliance.HeaderHash && s.HashHeader != "" {
		return "header hash of " + s.HashHeader
	}
	return s.Scheduler.String()
}

func sayPersistence(s *vs) string {
	switch s.Persistence.Kind {
	case appliance.PersistNone:
		return s.Persistence.Kind.String()
	case appliance.PersistCookie:
		return "HTTP cookie " + s.Persistence.CookieName
	case appliance.PersistApplication:
		return "application cookie " + s.Persistence.ApplicationCookie + ", " + Spaced(s.Persistence.Timeout)
	}
	return s.Persistence.Kind.String() + ", " + Spaced(s.Persistence.Timeout)
}

func sayCheck(s *vs) string {
	m := &s.Monitor
	if m.Kind == appliance.MonitorNone {
		return m.Kind.String()
	}
	return fmt.Sprintf("%s every %s, up after %d, down after %d", m.Kind, Spaced(m.Interval), m.Rise, m.Fall)
}

func sayFallback(s *vs) string {
	switch {
	case s.Fallback.Kind == appliance.FallbackPage:
		return "the appliance's own page"
	case s.Fallback.Kind == appliance.FallbackServer && s.Fallback.Address.IsValid():
		return s.Fallback.Address.String()
	case s.Fallback.Kind == appliance.FallbackServer:
		return "another server"
	}
	return "none: closed at once"
}

func sayHTTP(s *vs) string {
	if s.Protocol != appliance.HTTP {
		return "HTTP Mode only"
	}
	return "X-Forwarded-For " + string(s.HTTP.ForwardedFor) + ", keep-alive " + map[appliance.KeepAlive]string{
		appliance.KeepAliveBoth: "on both sides", appliance.KeepAliveClient: "on the client's side", appliance.KeepAliveNone: "off",
	}[s.HTTP.KeepAlive]
}

func sayLimits(s *vs) string {
	text := fmt.Sprintf("%d connections, client silent for %s", s.Limits.MaxConnections, Spaced(s.Limits.ClientTimeout))
	if s.Limits.Queue > 0 {
		text += fmt.Sprintf(", %d may wait for %s", s.Limits.Queue, Spaced(s.Limits.QueueTimeout))
	}
	return text
}

func setFallback(s *vs, t string) error {
	t = strings.TrimSpace(t)
	if t == "" {
		s.Fallback.Address = netip.AddrPort{}
		return nil
	}
	a, err := netip.ParseAddrPort(t)
	if err != nil {
		return appliance.Refuse("fallback.address", "%.60q is not address and port, such as 192.168.0.9:80.", t)
	}
	s.Fallback.Address = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	return nil
}

func lines(t string) string {
	return strings.TrimRight(strings.ReplaceAll(t, "\r\n", "\n"), "\n")
}

func portText(p uint16) string {
	if p == 0 {
		return ""
	}
	return strconv.Itoa(int(p))
}

// Row is one real server as typed.
type Row struct {
	ID, Label, Address, Port, Weight, MaxConnections, MinConnections string
	Encrypt                                                          string // "true": to this server over TLS; empty: as the service says
	Backup                                                           bool
}

func (r Row) blank() bool {
	return r.ID == "" && strings.TrimSpace(r.Label+r.Address+r.Port+r.MaxConnections+r.MinConnections) == "" && (r.Weight == "" || r.Weight == "100")
}

// BlankRow is an empty real server.
func BlankRow() Row { return Row{Weight: "100"} }

// Service is the form of a virtual service as typed.
type Service struct {
	Values Values
	Rows   []Row
	Rules  []RuleRow
	Ruled  bool // the rules were part of what was sent
}

// OfService returns the form that shows s.
func OfService(s *appliance.VirtualService) Service {
	f := Service{Values: Values{}}
	for _, field := range allFields(nil) {
		f.Values[field.Path] = field.get(s)
	}
	for _, r := range s.RealServers {
		row := Row{ID: r.ID, Label: r.Label, Address: string(r.Address), Port: portText(r.Port), Weight: strconv.Itoa(r.Weight)}
		row.Backup = r.Backup
		if r.MaxConnections > 0 {
			row.MaxConnections = strconv.Itoa(r.MaxConnections)
		}
		if r.MinConnections > 0 {
			row.MinConnections = strconv.Itoa(r.MinConnections)
		}
		if r.Encrypt {
			row.Encrypt = "true"
		}
		f.Rows = append(f.Rows, row)
	}
	f.Rules, f.Ruled = ruleRows(s.Rules), true
	return f
}

// NewService returns the form for a new service: what depends on the protocol is left empty, and rows blank real servers are ready.
func NewService(rows int) Service {
	fresh := appliance.NewService(appliance.TCP)
	f := OfService(&fresh)
	for _, path := range []string{"fallback.kind", "limits.client_timeout", "limits.server_timeout"} {
		f.Values[path] = ""
	}
	for range rows {
		f.Rows = append(f.Rows, BlankRow())
	}
	return f
}

func allFields(scripts []appliance.Script) []Field {
	list := firstFields()
	for _, s := range Sections(scripts) {
		list = append(list, s.Fields...)
	}
	return list
}

// Known tells whether the form has a field for the path.
func Known(path string) bool {
	if strings.HasPrefix(path, "real_servers[") {
		_, field, ok := strings.Cut(path, "].")
		return ok && slices.Contains([]string{"label", "address", "port", "weight", "max_connections", "min_connections", "encrypt", "backup"}, field)
	}
	if strings.HasPrefix(path, "rules[") {
		return knownRule(path)
	}
	return path == "real_servers" || path == "rules" || slices.ContainsFunc(allFields(nil), func(f Field) bool { return f.Path == path })
}

// RowName is the name of a field of the i-th real server.
func RowName(i int, field string) string { return fmt.Sprintf("real_servers[%d].%s", i, field) }

// ReadService reads what a browser sent. Rows in which nothing was typed are dropped. Unknown names are ignored; of a name that stands twice the first counts.
func ReadService(in url.Values) Service {
	f := Service{Values: Values{}}
	for _, field := range allFields(nil) {
		most := longestText
		if field.Kind == Area {
			most = longestArea
		}
		f.Values[field.Path] = one(in, field.Path, most)
		if field.Kind == Ticks {
			f.Values[field.Path] = readTicks(in, field.Path)
		}
	}
	for i := range appliance.MaxServers + 1 {
		if !in.Has(RowName(i, "label")) {
			break
		}
		cell := func(name string) string { return one(in, RowName(i, name), longestText) }
		row := Row{ID: cell("id"), Label: cell("label"), Address: cell("address"), Port: cell("port"), Weight: cell("weight"), MaxConnections: cell("max_connections"), MinConnections: cell("min_connections"), Encrypt: cell("encrypt")}
		row.Backup = cell("backup") == "true"
		if !row.blank() {
			f.Rows = append(f.Rows, row)
		}
	}
	f.Rules, f.Ruled = readRules(in), in.Has("rules")
	return f
}

// Into writes the form over s, which holds the service as it is saved (or a new one), and returns what cannot be read, field by field. An empty time or number takes the
// default of the chosen protocol. Real servers are matched by id, so that what the form does not show (their state) is kept.
func (f Service) Into(s *appliance.VirtualService) appliance.Errors {
	var errs appliance.Errors
	add := func(err error) {
		if err != nil {
			errs = append(errs, appliance.ErrorsOf(err)...)
		}
	}
	fresh := appliance.NewService(appliance.Protocol(f.Values["protocol"]))
	for _, field := range allFields(nil) {
		typed := f.Values[field.Path]
		if field.Kind != Area {
			typed = strings.TrimSpace(typed)
		}
		if typed == "" && field.Path != "ports" && field.Kind != Check && field.hasDefault() {
			typed = field.get(&fresh)
		}
		typed = f.fit(field, typed, &fresh)
		if f.Values["pool_only"] == "true" && (field.Path == "address" || field.Path == "ports") {
			s.Address, s.Ports = netip.Addr{}, nil // what was typed before the tick does not count
			continue
		}
		if typed == "" && field.Path == "ports" {
			s.Ports = nil // Validate says it
			continue
		}
		add(field.set(s, typed))
	}
	servers := make([]appliance.RealServer, 0, len(f.Rows))
	for i, row := range f.Rows {
		server := appliance.NewRealServer()
		if old := s.Server(row.ID); row.ID != "" && old != nil {
			server = *old
		}
		for _, err := range row.into(&server, i) {
			add(err)
		}
		servers = append(servers, server)
	}
	s.RealServers = servers
	if f.Ruled {
		errs = append(errs, f.rulesInto(s)...)
	}
	return errs
}

// hasDefault tells whether an empty field means the default.
func (f Field) hasDefault() bool {
	return f.Kind == Duration || f.Kind == Number || slices.Contains([]string{"tls.min_version", "tls.client_auth", "tls.redirect"}, f.Path) || f.Path == "persistence.cookie_name" || f.Path == "check.observe.codes" || f.Path == "persistence.application_cookie" || f.Path == "fallback.kind"
}

// labelOf makes a label out of an address.
func labelOf(h appliance.Host) string {
	text := string(h)
	if a, ok := h.Addr(); ok {
		text = a.String()
	}
	return strings.Trim(strings.ReplaceAll(text, ":", "."), ".")
}

func (r Row) into(server *appliance.RealServer, i int) []error {
	errs := make([]error, 0, 3)
	server.Encrypt = r.Encrypt == "true"
	server.Label, server.Address = strings.TrimSpace(r.Label), appliance.Host(strings.TrimSpace(r.Address))
	if server.Label == "" {
		server.Label = labelOf(server.Address)
	}
	port, err := readPort(RowName(i, "port"), r.Port)
	if err != nil {
		errs = append(errs, err)
	}
	server.Port, server.Backup = port, r.Backup
	weight, most, least := r.Weight, r.MaxConnections, r.MinConnections
	if strings.TrimSpace(weight) == "" {
		weight = "100"
	}
	if strings.TrimSpace(most) == "" {
		most = "0"
	}
	if strings.TrimSpace(least) == "" {
		least = "0"
	}
	for _, cell := range []struct {
		name, text string
		at         *int
	}{{"weight", weight, &server.Weight}, {"max_connections", most, &server.MaxConnections}, {"min_connections", least, &server.MinConnections}} {
		if err := readNumber(RowName(i, cell.name), cell.text, func(n int) { *cell.at = n }); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
