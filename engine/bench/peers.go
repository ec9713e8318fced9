package bench

import (
	"fmt"
	"strings"
)

// peerFiles are where the peers find their certificates.
type peerFiles struct {
	ecdsa, rsa string // PEM, certificate and key in one file
}

// haproxyConfig gives HAProxy the work on so many threads. With spliced its buffers are 64 KiB and splicing is forced.
func haproxyConfig(base, threads int, files peerFiles, spliced bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global\n nbthread %d\n maxconn %d\n", threads, sessions())
	if spliced {
		b.WriteString(" tune.bufsize 65536\n")
	}
	b.WriteString("\ndefaults\n timeout connect 4s\n timeout client 10m\n timeout server 10m\n timeout http-keep-alive 10m\n balance leastconn\n")
	if spliced {
		b.WriteString(" option splice-request\n option splice-response\n")
	}
	section := func(port int, bind string, server int, lines string, suffix func(i int) string) {
		fmt.Fprintf(&b, "\nlisten s%d\n bind 127.0.0.1:%d%s\n%s", port, base+port, bind, lines)
		for i := range serverIPs {
			fmt.Fprintf(&b, " server s%d %s:%d%s\n", i, serverAddress(i), server, suffix(i))
		}
	}
	plain := func(int) string { return "" }
	web := " mode http\n option forwardfor\n http-reuse always\n"
	section(webPort, "", webServer, web, plain)
	section(cookiePort, "", webServer, web+" cookie SERVERID insert indirect nocache\n", func(i int) string { return fmt.Sprintf(" cookie s%d", i) })
	section(midPort, "", midServer, web, plain)
	section(bigPort, "", bigServer, web, plain)
	section(rulesPort, "", webServer, web+haproxyRules(), plain)
	section(echoPort, "", echoServer, " mode tcp\n", plain)
	section(bulkPort, "", bulkServer, " mode tcp\n", plain)
	if files.ecdsa != "" {
		section(tlsPort, " ssl crt "+files.ecdsa+" alpn http/1.1", webServer, web, plain)
		section(rsaPort, " ssl crt "+files.rsa+" alpn http/1.1", webServer, web, plain)
	}
	return b.String()
}

// haproxyRules are twenty rules of which none matches the request, and the log of every request to a socket that nobody reads.
func haproxyRules() string {
	var b strings.Builder
	b.WriteString(" log 127.0.0.1:9514 local0\n option httplog\n")
	for i := range 20 {
		fmt.Fprintf(&b, " http-request deny if { path_beg /denied/%d }\n", i)
	}
	return b.String()
}

// nginxConfig gives nginx the work that it can do, in one worker.
func nginxConfig(base int, files peerFiles, dir string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "daemon off;\nworker_processes 1;\npid %s/nginx.pid;\nerror_log stderr error;\nevents { worker_connections %d; }\nhttp {\n access_log off;\n keepalive_timeout 600s;\n keepalive_requests 1000000000;\n", dir, sessions())
	for _, p := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&b, " %s_temp_path %s/%s;\n", p, dir, p)
	}
	for _, server := range []int{webServer, midServer, bigServer} {
		fmt.Fprintf(&b, " upstream u%d {\n  least_conn;\n  keepalive 512;\n  keepalive_requests 1000000000;\n", server)
		for i := range serverIPs {
			fmt.Fprintf(&b, "  server %s:%d;\n", serverAddress(i), server)
		}
		b.WriteString(" }\n")
	}
	section := func(port int, more string, server int) {
		fmt.Fprintf(&b, " server {\n  listen 127.0.0.1:%d%s;\n  location / {\n   proxy_pass http://u%d;\n   proxy_http_version 1.1;\n   proxy_set_header Connection \"\";\n   proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n  }\n }\n", base+port, more, server)
	}
	section(webPort, "", webServer)
	section(midPort, "", midServer)
	section(bigPort, "", bigServer)
	if files.ecdsa != "" {
		section(tlsPort, fmt.Sprintf(" ssl;\n  ssl_certificate %s;\n  ssl_certificate_key %s;\n  ssl_protocols TLSv1.2 TLSv1.3;\n  ssl_session_tickets off", files.ecdsa, files.ecdsa), webServer)
		section(rsaPort, fmt.Sprintf(" ssl;\n  ssl_certificate %s;\n  ssl_certificate_key %s;\n  ssl_protocols TLSv1.2 TLSv1.3;\n  ssl_session_tickets off", files.rsa, files.rsa), webServer)
	}
	b.WriteString("}\n")
	return b.String()
}
