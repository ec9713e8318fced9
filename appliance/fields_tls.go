package appliance

// tlsFields is the part of the catalogue that is about TLS.
func tlsFields() []Field {
	const vs, rs = "virtual_service", "real_server"
	return []Field{
		{vs, "tls.certificates", "Certificates", "With at least one, clients come over TLS. Chosen by the name the client asks for; the first serves everyone else."},
		{vs, "tls.min_version", "Lowest TLS version", "Clients that speak only older versions are turned away. 1.2 suits nearly everyone; older versions are never spoken."},
		{vs, "tls.ciphers", "Ciphers of TLS 1.2", "None chosen: every suite with forward secrecy and authenticated encryption. TLS 1.3 chooses by itself."},
		{vs, "tls.client_auth", "Client certificates", "Required: only clients with a certificate of your authority get in. Optional: who shows one must show a good one."},
		{vs, "tls.client_ca", "Authority of the clients", "The authority that signed the clients' certificates. Certificates on its revocation list are turned away."},
		{vs, "tls.redirect", "Force to HTTPS", "For a service on port 80: every request is answered with a redirect to the same address over HTTPS. 301 and 308 are remembered by browsers."},
		{vs, "tls.redirect_port", "Port of HTTPS", "Where the redirect leads. Empty: 443."},
		{vs, "tls.hsts", "HSTS", "Browsers that came once over HTTPS come only over HTTPS for so long. Hard to take back: switch it on when HTTPS works. 0: off."},
		{vs, "server_tls.enabled", "Encrypt to the real servers", "Connections to all real servers run over TLS."},
		{vs, "server_tls.verify", "Verify the servers", "A server whose certificate is expired, for another name or from an unknown authority is not used."},
		{vs, "server_tls.sni", "Server name", "The name that is asked for and that the server's certificate must hold. Empty: no name is sent, the certificate must hold the server's address."},
		{vs, "server_tls.ca", "Authority of the servers", "The authority that signed the servers' certificates. Empty: those that the operating system trusts."},
		{vs, "fallback.encrypt", "Encrypt to the fallback server", "Connections to it run over TLS. It is verified like the real servers."},
		{rs, "encrypt", "Re-encrypt", "Connections to this server run over TLS, whatever the service says for all."},
	}
}
