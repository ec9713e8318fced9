package appliance

import "slices"

// Field is one entry of the catalogue of fields: the name on the pages and one or two sentences of help, which are also the API's description.
type Field struct {
	Object string // "virtual_service", "real_server", "rule", "script", "settings", "heartbeat", "local"
	Path   string // in the API's words, dotted
	Name   string
	Help   string
}

// FieldName returns the name of a field on the pages, or its path when the catalogue has none.
func FieldName(object, path string) string {
	if f, ok := FieldOf(object, path); ok {
		return f.Name
	}
	return path
}

// FieldOf returns the entry of a field.
func FieldOf(object, path string) (Field, bool) {
	for _, f := range Fields() {
		if f.Object == object && f.Path == path {
			return f, true
		}
	}
	return Field{}, false
}

// Fields returns the whole catalogue, in the order of the pages.
func Fields() []Field {
	const vs, rs = "virtual_service", "real_server"
	return slices.Concat([]Field{
		{vs, "label", "Label", "The name shown everywhere. Letters, digits, space, dot, _ and -."},
		{vs, "address", "IP address", "The address that clients connect to. The appliance puts it on the interface whose network holds it."},
		{vs, "ports", "Ports", "One, a list, or ranges: 80 or 80,443 or 800-900."},
		{vs, "pool_only", "Only a pool", "Real servers without an address and ports of their own: rules of other services in the same mode lead clients to them. They are checked, counted and shown like others; what clients see, such as certificates, is the affair of the services in front."},
		{vs, "layer", "Layer", "7: a proxy that ends the client's connection and opens its own to a real server."},
		{vs, "protocol", "Layer 7 protocol", "TCP Mode for DICOM, HL7, RDP and databases; HTTP Mode for the web; UDP Mode for DNS and syslog."},
		{vs, "real_servers", "Real servers", "The servers behind this service."},
		{vs, "scheduler", "Balance mode", "How a server is chosen for a new client. Weighted least connections suits nearly everything."},
		{vs, "hash_header", "Header to hash", "With header hash: requests with the same value of this header go to the same server, such as X-Tenant. Requests without it go to the server with the fewest connections."},
		{vs, "hash_load", "Bounded load", "With a hash: the most that may be open on a server, in percent of its share, such as 125; clients beyond it go to the next. 0 or empty: no bound."},
		{vs, "slow_start", "Slow start", "A server that comes up or online gets its share of new clients gradually over this time. 0s: at once. The first servers of a service do not wait."},
		{vs, "minimum_servers", "Minimum servers", "When fewer servers than this are healthy, all that are online are used again: most of them may only seem to be down. 0: off."},
		{vs, "mode", "Mode of use", "Load balanced: all servers work. Failover: the next server only when the one before it is down."},
		{vs, "persistence.kind", "Persistence", "Keeps a returning client on the same server. HTTP cookie: one that the appliance sets, sealed. Application cookie: the servers' own, learned from their answers. X-Forwarded-For: the address that a trusted proxy tells. TLS session ID (TCP Mode, TLS passed on as it is): a session of TLS 1.2 that its server resumes; TLS 1.3 and tickets show a fresh number each time, so such clients are kept by source IP. RDP cookie (TCP Mode): a session broker's route, else the user's name as the client sends it, cut after some nine characters, else source IP. Last successful: the last server that answered anybody of the client's network; it is kept when the one before it is back."},
		{vs, "persistence.mask_ipv4", "IPv4 mask", "How many bits of the client's address count. 32: each address for itself; 24: neighbours share a server."},
		{vs, "persistence.mask_ipv6", "IPv6 mask", "How many bits of an IPv6 client's address count, 1 to 128."},
		{vs, "persistence.timeout", "Persistence timeout", "A client that was away for longer is balanced anew."},
		{vs, "persistence.table_size", "Table size", "The most clients that are remembered; beyond it the oldest is forgotten."},
		{vs, "persistence.cookie_name", "Cookie name", "The name of the cookie that the appliance sets. Its value is sealed and names no server."},
		{vs, "persistence.cookie_idle", "Cookie idle time", "A cookie that was not shown for so long no longer counts."},
		{vs, "persistence.cookie_life", "Cookie life", "A cookie older than this no longer counts."},
		{vs, "persistence.application_cookie", "Application cookie", "The name of the cookie in which the servers themselves keep a session, such as JSESSIONID, PHPSESSID or ASP.NET_SessionId. A session is remembered when a server begins it; it is also found as ;jsessionid= in the path."},
		{vs, "persistence.trusted_proxies", "Trusted proxies", "Addresses and networks, with commas between them, of the proxies in front whose X-Forwarded-For is believed. The list is read from its right end: what trusted proxies wrote is skipped, and the first address that is none of theirs is the client's. From everybody else the header does not count."},
		{vs, "persistence.clear_on_drain", "Clear entries when drained", "Draining a server also forgets its clients, so that they move at their next connection."},
		{vs, "check.kind", "Check", "How a real server shows that it works. Checks never send a clinical message by themselves."},
		{vs, "check.port", "Check port", "Empty: the port that the service uses."},
		{vs, "check.interval", "Interval", "Time between two checks of a server."},
		{vs, "check.timeout", "Timeout", "A check that took longer has failed."},
		{vs, "check.rise", "Rise", "Good checks in a row until a server is up."},
		{vs, "check.fall", "Fall", "Bad checks in a row until a server is down."},
		{vs, "check.close_on_down", "Close connections when down", "Open connections to a server that goes down are ended; otherwise they stay and may recover."},
		{vs, "check.observe.failures", "Failures of live traffic", "So many within the window take a server down at once: connections that cannot be made, answers with the codes, answers that do not come. Checks bring it back. 0: live traffic is not observed."},
		{vs, "check.observe.codes", "Codes that are failures", "In HTTP Mode: status codes of answers that count as failures of live traffic, such as 500-599."},
		{vs, "check.observe.window", "Window of live traffic", "Failures of live traffic count together when they come within this time."},
		{vs, "check.agent.enabled", "Ask the agents", "At each interval the agent of every real server is asked: a program of your own that answers a connection with one line. 75%: of the weight. ready, drain, maint: whom to admit. up, down, fail, stopped: its health, beside the check. #reason at the end is shown. What you drain or halt yourself stays so."},
		{vs, "check.agent.port", "Agent port", "The port on the real servers where their agents answer."},
		{vs, "check.agent.send", "Line to the agent", "Sent when the connection opens, such as the name of the service. Empty: nothing."},
		{vs, "check.agent.misses", "Missed answers", "After so many answers in a row that did not come or cannot be read, what the agent said is forgotten."},
		{vs, "check.http.method", "Method", "GET, or HEAD when the page is large."},
		{vs, "check.http.path", "Path", "What to ask for, such as /healthz."},
		{vs, "check.http.host", "Host header", "Empty: the server's address."},
		{vs, "check.http.codes", "Accepted codes", "Status codes that count as good: 200, or 200,204, or 200-399."},
		{vs, "check.http.content", "Content", "Text that must be found in the first 64 KB of the answer."},
		{vs, "check.http.content_regexp", "Content is a regular expression", "RE2 syntax."},
		{vs, "check.http.verify", "Verify the certificate", "HTTPS: a certificate that is expired or for another name fails the check."},
		{vs, "check.dicom.calling_ae", "Calling AE title", "How the appliance names itself. Empty: EVENKEEL."},
		{vs, "check.dicom.called_ae", "Called AE title", "The server's AE title. Leave empty to accept a rejection as a sign of life."},
		{vs, "check.dicom.tls", "TLS", "The association runs over TLS, as the server's secure port expects."},
		{vs, "check.dicom.verify", "Verify the certificate", "With TLS: a certificate that is expired, for another name or from an unknown authority fails the check."},
		{vs, "check.hl7.message", "Message", "A message that the server may safely acknowledge, one segment a line. Empty: only the port and the framing are tried."},
		{vs, "check.hl7.expect", "Expected acknowledgement", "AA unless your engine answers otherwise."},
		{vs, "check.smtp.name", "EHLO name", "How the appliance names itself to the mail server. Empty: evenkeel. No mail is sent; the session ends with QUIT."},
		{vs, "check.dns.name", "Name to ask for", "The server must answer the question for it without an error, over UDP. Choose a name that it always knows."},
		{vs, "check.dns.type", "Type", "A asks for IPv4 addresses, AAAA for IPv6 addresses."},
		{vs, "check.dns.expect", "Expected address", "With A or AAAA: an address that must be in the answer. Empty: any answer without an error is good."},
		{vs, "check.mysql.user", "User", "An account without a password and without rights; the check signs in as it and quits, and the server counts no error. Empty: evenkeel is tried and may be refused; the server counts a failed sign-in (Aborted_connects) but does not block this appliance, as it would after connections that end at the greeting."},
		{vs, "check.postgresql.user", "User", "The account that the check begins a session as, on the database postgres, without a password. It need not exist: a question for a password or a refusal of the account counts as alive, and the server may log the refusal. Empty: evenkeel."},
		{vs, "check.grpc.service", "Service name", "Whose health grpc.health.v1 is asked for, over HTTP/2 in clear; SERVING is up. Empty: the server as a whole."},
		{vs, "check.script", "Script", "A health check script; exit status 0 means up."},
		{vs, "fallback.kind", "Fallback", "What serves when no real server can: the appliance's own page, another server, or nothing (closed at once)."},
		{vs, "fallback.address", "Fallback server", "Address and port, such as 192.168.0.9:80."},
		{vs, "http.x_forwarded_for", "X-Forwarded-For", "Tells the servers the client's address. Append: to what came in. Replace: what came in is removed."},
		{vs, "http.keep_alive", "Keep-alive", "Which connections stay open between two requests."},
		{vs, "http.error_page", "Error page", "HTML for the answers that this appliance gives by itself, such as 503 when no server can serve. {status} and {reason} stand for those of the answer. Empty: one plain sentence."},
		{vs, "http.cache_size", "Cache", "MiB of memory for answers that the servers allow everybody to keep (Cache-Control or Expires); up to 256 KiB each. While one client's request for an address is under way, others for the same address wait for its answer, on each processor for itself. 0: none."},
		{vs, "http.compress", "Compression", "Text, such as pages, scripts, JSON and XML, is sent in gzip, brotli or zstd to browsers that can read it. It saves bandwidth and costs processor time; what the servers have compressed themselves passes as it is."},
		{vs, "http.reuse", "Connection reuse", "Which requests go to a server connection that was used before. Safe: the first request of a client only if it may be sent again, such as GET. Always: every request. Never: each client has connections of its own."},
		{vs, "http.head_timeout", "Slow-header guard", "A request head must be complete within this time."},
		{vs, "http.head_limit", "Head limit", "Bytes that the head of a request, its first line and all its fields, may have, 1024 to 49152; a larger one is refused with 431. Clients that speak HTTP/2 are told. Cookies and Windows sign-in (Kerberos) make heads large: 16384 is enough for most, 8192 is usual elsewhere. Heads of answers may have 49152 always."},
		{vs, "http.trace_and_options", "TRACE and OPTIONS *", "Requests by TRACE, and by OPTIONS with * in place of a path, go to the servers. Otherwise they are refused with 405, since few need them and TRACE gives back what it was sent, cookies too. CONNECT is always refused."},
		{vs, "http.http2_in", "HTTP/2 from clients", "Over TLS: browsers choose it by themselves. Always: also clients in clear that begin with HTTP/2, as gRPC does; browsers never do."},
		{vs, "http.http2_out", "HTTP/2 to the servers", "For servers that speak it, such as gRPC's: in clear they must take it with prior knowledge, over TLS by ALPN. Requests share connections. A server without it is not used."},
		{vs, "http.websocket_timeout", "WebSocket timeout", "A WebSocket that is silent in both directions for so long is closed. Many applications send a sign of life every 30 s."},
		{vs, "http.request_id", "X-Request-ID", "Tells the servers the number that a request has in the traffic log; what the client sent under that name is removed."},
		{vs, "source_address", "Source address", "The address that the real servers see connections come from: one of this appliance or of a service; or transparent: each client's own. The servers' way back to the clients must lead through this appliance then (make it their gateway), and clients on the servers' own network do not work. Empty: the one that the route to the server has."},
		{vs, "proxy_protocol.in", "PROXY protocol from proxies", "Every connection must begin with a header of the PROXY protocol, version 1 or 2, which says whose it is."},
		{vs, "proxy_protocol.trusted", "Trusted proxies", "Addresses and networks, with commas between them, whose header counts. Connections from elsewhere are closed."},
		{vs, "proxy_protocol.within", "Header within", "A connection whose header is not complete in this time is closed."},
		{vs, "proxy_protocol.out", "PROXY protocol to the servers", "Tells the real servers whose connection they get; they must expect it. Version 2 also tells what is known of the client's TLS. Connections to servers are not shared between clients then."},
		{vs, "limits.max_connections", "Maximum connections", "Clients at the same time; more wait until one leaves."},
		{vs, "limits.connect_timeout", "Connect timeout", "A server that does not accept in this time is passed over for another. Behind twice this time no further server is tried: the fallback serves, or the client is turned away."},
		{vs, "limits.client_timeout", "Client timeout", "A client silent for so long is disconnected. DICOM and HL7 keep idle connections: 12 h. In UDP Mode it is forgotten, and its next datagram may go to another server: 30 s."},
		{vs, "limits.server_timeout", "Server timeout", "A server silent for so long while it owes an answer is disconnected."},
		{vs, "limits.queue", "Queue", "Clients that may wait when every real server that could serve them is at its maximum connections; who comes first is served first. Who goes away leaves the queue, also who only finishes sending. 0: nobody waits, they are turned away or get the fallback."},
		{vs, "limits.queue_timeout", "Time in the queue", "Who has waited for so long gets 503 with Retry-After in HTTP Mode; in TCP Mode the connection is closed."},
		{vs, "limits.full_load", "Full load", "For real servers with minimum connections: when so many clients are served or wait, each has its maximum. 0 or empty: a tenth of the maximum connections of the service."},
		{vs, "log", "Traffic log", "A line for each request (HTTP Mode) or session (TCP Mode): all of them, only those that did not end well, or nothing."},
		{vs, "rules", "Rules", "Looked at from the top for each request (HTTP Mode) or session (TCP Mode, UDP Mode); every rule whose conditions hold does its actions. The first answer ends them; of several pools or servers the first counts. In TCP Mode with a condition on the TLS name, clients whose TLS passes through are waited for up to 2 s until they have said it; who says none has an empty one."},
		{rs, "label", "Label", "The name shown everywhere."},
		{rs, "address", "IP address or host name", "The server's own address, or a name such as pacs1.example.org. A name is looked up again by its time to live; when it leads elsewhere new connections go there, and open ones stay. While it does not resolve the last address is used."},
		{rs, "port", "Port", "Empty: the same port that the client came to."},
		{rs, "weight", "Weight", "Its share: 100 is ordinary, 50 gets half. 0 gets only returning clients."},
		{rs, "max_connections", "Maximum connections", "Requests (HTTP Mode) or sessions (TCP Mode) at the same time; further clients go to another server, or wait in the queue of the service. 0 or empty: no limit."},
		{rs, "min_connections", "Minimum connections", "With a queue: this many at little load; with the load of the service the limit grows to the maximum. It spares a server that is quickest with few at a time. 0 or empty: always the maximum."},
		{rs, "backup", "Backup", "Serves only when no other server does: all are down, drained, halted or full."},
		{rs, "state", "State", "Online, Drain (no new clients) or Halt (open connections end)."},
		{rs, "drain_until", "Drain until", "When a drain with a time limit ends: the server is halted then."},
		{"rule", "label", "Label", "The name shown everywhere."},
		{"rule", "disabled", "Off", "The rule is kept and does nothing."},
		{"rule", "when", "When", "Conditions on what the client sent; all must hold. None: always."},
		{"rule", "then", "Then", "What is done, in this order."},
		{"script", "label", "Label", "The name shown everywhere."},
		{"script", "body", "Script", "Begins with #! and an interpreter. Arguments: VIP, VIP port, RIP, RIP port. Exit status 0 means up."},
		{"settings", "fallback_page", "Fallback page", "HTML of the page that visitors see while no server of a web service can serve; it is sent with status 503. Empty: the built-in page."},
		{"settings", "allow_loopback", "Allow loopback servers", "Lets real servers and checks use loopback addresses."},
		{"heartbeat", "interval", "Interval", "Time between two heartbeats on each path. 10ms suits every local network."},
		{"heartbeat", "dead_time", "Dead time", "Silence after which the peer counts as gone. It grows by itself on a network that jitters, and is never below the lease of 150 ms."},
		{"heartbeat", "witness", "Witness", "Who tells a dead peer from a cut wire: the default gateway, other addresses, or a third appliance in its witness mode. None: the probes for the floating addresses decide alone."},
		{"heartbeat", "witness_addresses", "Witness addresses", "With other addresses or a witness node: who is asked, with commas between them. One answer is enough. A witness node is a third machine that runs evenkeel witness with a copy of witness.json from the data folder of a node."},
		{"heartbeat", "automatic_failback", "Automatic failback", "The Primary takes the addresses back as soon as it is well again. Off: they stay where they are, since every switch disturbs."},
		{"settings", "apply_at_once", "Apply at once", "A change is applied as soon as it is saved."},
		{"local", "hostname", "Hostname", "The name of this appliance."},
		{"local", "host_names", "Further names", "Names by which browsers may address this appliance."},
		{"local", "metrics_networks", "Networks that may read /metrics", "Addresses and networks, one a line, from which Prometheus reads the figures under /metrics without a token. Empty: only with a token of Passwords, API tokens."},
		{"local", "traffic_log.no_file", "Keep no local file", "The lines of the traffic log are not kept on this appliance; the page Logs, Layer 7 is empty then."},
		{"local", "traffic_log.file_size_mb", "File size", "Megabytes at which a file of the traffic log turns over. 0 or empty: 16."},
		{"local", "traffic_log.file_count", "Files kept", "How many files of the traffic log are kept, the newest included. 0 or empty: 10."},
		{"local", "traffic_log.remote", "Syslog receiver", "Host and port that get every line of the traffic log as syslog (RFC 5424), such as 192.168.0.9:514. Empty: none."},
		{"local", "traffic_log.transport", "Transport", "TCP (octet counting), UDP (a datagram a line) or TLS. Lines that cannot be sent wait in a bounded buffer."},
		{"local", "traffic_log.ca", "Certificate authority", "TLS: certificates in PEM that the receiver's must come from. Empty: those that the system trusts."},
		{"local", "traffic_log.no_verify", "Accept any certificate", "TLS: the receiver is not verified. Somebody in between can read the log."},
	}, tlsFields(), questionFields())
}
