package appliance

// questionFields is the part of the catalogue that is about Explain.
func questionFields() []Field {
	const q = "question"
	return []Field{
		{q, "virtual_service", "Virtual service", "Id or label of the service that the client comes to. Empty: whoever listens on the address and port."},
		{q, "listener", "Address and port", "Where the client comes to, such as 192.168.0.188:80. Empty: where the URL leads if it has an address, else the service's first port."},
		{q, "client", "Client", "The address of the client, such as 10.0.0.7."},
		{q, "proxy", "Proxy in front", "Who opens the connection on behalf of the client and says so in the PROXY protocol. Empty: the client comes by itself."},
		{q, "tls_name", "TLS server name", "The name that the client asks for when TLS begins. Empty: the host of the URL."},
		{q, "tls_session", "TLS session", "TCP Mode with persistence by TLS session: the id that the client shows, in hexadecimal digits."},
		{q, "rdp_cookie", "RDP cookie", "TCP Mode with persistence by RDP cookie: what the client sends, mstshash=USER or msts=ROUTE."},
		{q, "method", "Method", "HTTP Mode: GET when empty."},
		{q, "url", "URL", "HTTP Mode: what the client asks for, whole or only the path with its query."},
		{q, "headers", "Headers", "HTTP Mode: further headers that the client sends, one a line, such as Accept-Language: de."},
		{q, "cookies", "Cookies", "HTTP Mode: what the client sends as Cookie, such as SERVERID=…; theme=dark."},
		{q, "answer", "Server's answer", "HTTP Mode: how the server would answer, one line each: the status, such as 200 OK, then its headers. It shows what the rules make of it."},
	}
}
