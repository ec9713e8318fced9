package api

import (
	"strings"

	"evenkeel/appliance"
)

// describe returns the help of a field: the catalogue's where it has one, so that pages and interface say the same.
func describe(owner, path string) string {
	if f, known := appliance.FieldOf(owner, path); known {
		return f.Help
	}
	if help := grouped(owner, path); help != "" {
		return help
	}
	for line := range strings.Lines(observed) {
		name, help, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if name == owner+"."+path {
			return help
		}
	}
	return ""
}

// grouped describes what the pages do not show as a field of its own.
func grouped(owner, path string) string {
	if path == "id" && owner == strings.ToLower(owner) {
		return "Given by the appliance when the object is first saved; never changes."
	}
	if owner == "local" && path == "traffic_log" {
		return "Where the lines of the traffic log go."
	}
	if owner == "rule" {
		return ruleHelp(path)
	}
	if owner != "virtual_service" {
		return ""
	}
	switch path {
	case "check":
		return "How the real servers are checked: an object, or only the kind, such as \"connect\"."
	case "check.observe":
		return "How live traffic takes a server down."
	case "check.agent":
		return "How the agents of the real servers are asked."
	case "check.http":
		return "Of a check over HTTP or HTTPS."
	case "check.dicom":
		return "Of a check by DICOM C-ECHO."
	case "check.hl7":
		return "Of a check by HL7 over MLLP."
	case "check.dns":
		return "Of a check of a name server."
	case "check.smtp":
		return "Of a check of a mail server."
	case "check.mysql":
		return "Of a check of MySQL or MariaDB."
	case "check.postgresql":
		return "Of a check of PostgreSQL."
	case "check.grpc":
		return "Of a check by the health service of gRPC."
	case "persistence":
		return "How a returning client finds its server again: an object, or only the kind, such as \"source_ip\"."
	case "fallback":
		return "What serves when no real server can."
	case "http":
		return "Of HTTP Mode only."
	case "tls":
		return "How clients are served over TLS; certificates and authorities are named by their SHA-256 fingerprints."
	case "server_tls":
		return "How real servers are spoken to when they are spoken to over TLS."
	case "proxy_protocol":
		return "Whose connection it is, as proxies in front say and as the real servers are told."
	case "limits":
		return "Bounds and times of the service."
	}
	return ""
}

// observed describes the fields that no form has, one a line: type, dot, field, colon, help.
const observed = observedPair + `Configuration.evenkeel: Number of the format: 1.
Configuration.cluster: What both nodes of a pair share.
Configuration.local: What belongs to this node alone.
Certificate.id: SHA-256 of the certificate in lower-case hexadecimal digits; services name it by this.
Certificate.label: The name shown everywhere.
Certificate.names: The host names and addresses that it is good for.
Certificate.subject: Whom it names.
Certificate.issuer: Who signed it.
Certificate.serial: Its number with the issuer, hexadecimal.
Certificate.key: The kind of its key; the key itself is never given out.
Certificate.not_before: When it becomes valid.
Certificate.not_after: When it expires.
Certificate.self_signed: Whether it vouches for itself.
Certificate.chain: PEM: the certificate, then those that lead to its root.
Certificate.warnings: What clients may object to, in sentences.
Certificate.used_by: Labels of the services that name it, as saved or running.
Certificate.created: When it was added.
CertificateUpload.label: The name shown everywhere; absent: the first name that it is good for.
CertificateUpload.certificate: PEM: the certificate and its chain in any order, perhaps with the key.
CertificateUpload.private_key: PEM: the key, when it is not in the other text.
CertificateUpload.pfx: A PFX (PKCS #12) or DER file, in base64.
CertificateUpload.password: Opens the PFX or the encrypted key; it is not kept.
CertificateWish.label: The name shown everywhere; absent: the first name.
CertificateWish.names: Host names and addresses by which clients reach the service; the first is the common name.
CertificateWish.organisation: The organisation in the subject.
CertificateWish.unit: The unit in the subject.
CertificateWish.locality: The town in the subject.
CertificateWish.region: The state or province in the subject.
CertificateWish.country: The country in the subject, two letters.
CertificateWish.key: The kind of key to make; absent: ecdsa_p256.
CertificateWish.days: How long a self-signed certificate is valid, 1 to 3650; absent: 397.
CertificateLabel.label: The name shown everywhere.
Replacement.certificate: The id of the certificate that takes the place.
SigningRequest.id: Names the request in paths.
SigningRequest.label: The name shown everywhere; the certificate gets it.
SigningRequest.names: The host names and addresses that are asked for.
SigningRequest.subject: Whom the certificate shall name.
SigningRequest.key: The kind of the key, which waits in the appliance.
SigningRequest.request: PEM, to be sent to an authority.
SigningRequest.created: When it was made.
SigningAnswer.certificate: PEM: what the authority sent, with its intermediate certificates.
ClientAuthority.id: Services name it by this; it stays when the content is replaced.
ClientAuthority.label: The name shown everywhere.
ClientAuthority.subjects: Whom the authorities' certificates name.
ClientAuthority.not_after: When the first of them expires.
ClientAuthority.bundle: PEM: the certificates.
ClientAuthority.crl: PEM: the lists of revoked certificates, or empty.
ClientAuthority.revoked: How many certificates are on the lists.
ClientAuthority.crl_until: When the first list wants to be replaced; absent without one.
ClientAuthority.warnings: What is amiss, in sentences.
ClientAuthority.used_by: Labels of the services that name it, as saved or running.
ClientAuthority.created: When it was added.
AuthorityUpload.label: The name shown everywhere; absent: the name in the first certificate.
AuthorityUpload.bundle: PEM: certificates of authorities.
AuthorityUpload.crl: PEM: lists of revoked certificates that these authorities signed.
Cluster.virtual_services: The virtual services, sorted by label.
Cluster.scripts: The health check scripts, sorted by label.
Cluster.settings: The settings of the whole pair.
Cluster.heartbeat: How the nodes of a pair watch each other; left out while it is as from the beginning.
Planned.from: Number of the revision that is compared from; 0 when there is none.
Planned.to: Number of the revision that is compared to.
Planned.unchanged: true: nothing differs.
Planned.summary: The difference in one line.
Planned.changes: The difference, object by object.
Change.object: virtual_service, real_server, script, settings or local.
Change.id: Id of the object.
Change.label: Label of the object.
Change.virtual_service: Id of the service that holds a real server.
Change.of: Label of the service that holds a real server.
Change.action: What happens to the object.
Change.fields: The fields that differ.
Change.effect: What applying does to open connections: keeps them, drains the server, or ends them.
FieldChange.field: Path of the field.
FieldChange.name: Name of the field on the pages.
FieldChange.from: Value before; empty when there was none.
FieldChange.to: Value after; empty when there is none.
Revision.number: Number of the revision; it only grows.
Revision.line: cluster, shared by a pair, or local.
Revision.at: When it was saved.
Revision.origin: Who saved it, from where and why.
Revision.summary: What it changed, in one line.
Revision.hash: Fingerprint of its content.
Revision.outcome: What became of it.
Revision.reason: Why it could not be applied.
Revision.applied_at: When it was applied.
Content.number: Number of the revision; it only grows.
Content.line: cluster, shared by a pair, or local.
Content.at: When it was saved.
Content.origin: Who saved it, from where and why.
Content.summary: What it changed, in one line.
Content.hash: Fingerprint of its content.
Content.outcome: What became of it.
Content.reason: Why it could not be applied.
Content.applied_at: When it was applied.
Content.cluster: The configuration that it holds.
Origin.operator: Name of the account, or console, or system.
Origin.from: Address that the request came from.
Origin.via: The door: webui, api, cli, setup, boot or system.
Origin.why: The reason that was given.
AuditEntry.id: Number of the entry.
AuditEntry.at: When it happened.
AuditEntry.origin: Who did it, from where and why.
AuditEntry.action: What was done.
AuditEntry.subject: What it was done to.
AuditEntry.outcome: done or refused.
AuditEntry.detail: More about it.
Status.at: When this was seen.
Status.driver: By what the engine moves bytes, epoll or io_uring; empty before it runs.
Status.virtual_services: The running services.
ServiceStatus.id: Id of the service.
ServiceStatus.label: Label of the service.
ServiceStatus.health: The state of the whole service.
ServiceStatus.sentence: Why, in one sentence.
ServiceStatus.connections: Connections of clients that are open now.
ServiceStatus.waiting: Clients in the queue for a place on a real server.
ServiceStatus.total: Connections since start.
ServiceStatus.requests: Requests since start, in HTTP Mode.
ServiceStatus.refused: Connections or requests turned away since start.
ServiceStatus.bytes_in: Bytes from clients since start.
ServiceStatus.bytes_out: Bytes to clients since start.
ServiceStatus.real_servers: What is seen of each real server.
Lines.lines: The lines as they were written, the oldest first.
Lines.whole: true: nothing older is kept that matches.
Series.virtual_service: Id of the virtual service.
Series.real_server: Id of the real server; absent for the service as a whole.
Series.period: hour, day, week, month or year.
Series.step_seconds: How long the stretch of one point is.
Series.kept: false: there is no place for it in the statistics.
Series.points: What was counted, the oldest first; stretches of which nothing is known are missing.
Point.at: Begin of the stretch.
Point.connections: Open connections, on average.
Point.opened: New connections per second.
Point.requests: Requests per second.
Point.bytes_in: Bytes from clients per second.
Point.bytes_out: Bytes to clients per second.
Point.errors: Requests and sessions that did not end well, per second.
Point.p50_ns: Half of the answers began within so many nanoseconds; 0 when there was none.
Point.p99_ns: 99 of 100 answers began within so many nanoseconds; 0 when there was none.
Point.up: Share of the time in which it served, 0 to 1; -1 when that is not known.
ServerStatus.id: Id of the real server.
ServerStatus.label: Label of the real server.
ServerStatus.state: The state as running, which may differ from what is saved.
ServerStatus.weight: The weight as running.
ServerStatus.connections: Connections that are open now.
ServerStatus.total: Connections since start.
ServerStatus.bytes_in: Bytes from clients since start.
ServerStatus.bytes_out: Bytes to clients since start.
ServerStatus.oldest: Start of the oldest open connection; absent when there is none.
ServerStatus.agent: What the server's agent says; absent: it is not asked.
AgentStatus.sentence: What the agent has said and what counts, in one sentence.
AgentStatus.at: When the agent said the last that counts; absent: nothing counts.
AgentStatus.percent: How much of the weight counts, in percent.
AgentStatus.state: drain or halt when the agent keeps clients away; absent: it does not.
AgentStatus.down: The agent says that the server does not work.
ServerStatus.resolved: Where the server's host name leads now; absent: its address is none, or the name leads nowhere.
ServerStatus.persistence_entries: Clients that would come back to this server.
ServerStatus.check: What the check sees.
ServerHealth.health: Up, down, or not yet checked.
ServerHealth.since: When that changed last.
ServerHealth.sentence: Why it is up or down.
ServerHealth.next: When it is checked again.
ServerHealth.probes: The last checks, newest last.
ServerHealth.changes: The last changes of health, newest last.
HealthChange.at: When it changed.
HealthChange.health: What it changed to.
HealthChange.sentence: Why it changed, in one sentence.
Probe.at: When it was checked.
Probe.good: Whether the server showed that it works.
Probe.took_ns: How long the check took, in nanoseconds.
Probe.sentence: What was seen, in one sentence.
Trial.at: When it was checked.
Trial.good: Whether the server showed that it works.
Trial.took_ns: How long the check took, in nanoseconds.
Trial.sentence: What was seen, in one sentence.
Trial.transcript: What was seen, step by step.
StateChange.state: What is wanted of the server; absent: as before.
StateChange.limit: With drain: after this time the server is halted, such as 30m; absent: it drains until told otherwise.
StateChange.weight: Its share, 0 to 1000; absent: as before.
ServerState.state: What is wanted of the server, as saved.
ServerState.weight: Its share, as saved.
ServerState.running: What is seen of it; absent when it does not run yet.
ServerState.warnings: In the answer to a change: that this was the last server which takes new clients, for instance.
PersistenceEntry.virtual_service: Id of the service.
PersistenceEntry.real_server: Id of the real server that the client comes back to.
PersistenceEntry.kind: By what the client is known: address, cookie, tls or rdp.
PersistenceEntry.key: Names the entry: the client's address or network, or the kind with a digest of what the client showed.
PersistenceEntry.client: The client's address, or the network that counts as one client; absent when it is known by something else.
PersistenceEntry.age_ns: Nanoseconds since it leads to that server.
PersistenceEntry.remaining_ns: Nanoseconds until the entry is forgotten.
Connection.id: Names the connection as long as it is open.
Connection.client: The client's address and port.
Connection.local: Where the client came to.
Connection.virtual_service: Id of the service.
Connection.real_server: Id of the real server that is in use now; empty when none is, and fallback for the fallback.
Connection.protocol: The protocol of the service.
Connection.tls: Whether the client came by TLS.
Connection.state: What it does now, in a few words.
Connection.age_ns: Nanoseconds since it began, to a tenth of a second.
Connection.bytes_in: Bytes from the client, as they went over the line.
Connection.bytes_out: Bytes to the client, as they went over the line.
RulesTrial.rules: The rules to try instead of the saved ones, in order; absent: the saved ones.
RulesTrial.request: The request that they are tried with. Its service is the one of the path.
Explanation.service_id: Id of the service that takes the client; absent when nothing listens there.
Explanation.virtual_service: Label of that service.
Explanation.listener: Where the client comes to.
Explanation.served_by: Who serves it: server, fallback, appliance (it answers by itself) or nobody.
Explanation.sentence: All of it in one sentence.
Explanation.server_id: Id of the real server that is chosen.
Explanation.real_server: Label of that server.
Explanation.address: Where it is connected to.
Explanation.reason: Why it is chosen: rule, persistence, scheduler or fallback.
Explanation.possible: Ids of all servers that it may be: the loops of the appliance take turns by themselves, and the kernel decides which of them gets the client.
Explanation.status: Of an answer that the appliance gives by itself.
Explanation.steps: What is decided, in order.
Explanation.rules: What becomes of each rule.
Explanation.candidates: The real servers that are chosen among.
Explanation.request: The head that the client sends.
Explanation.sent: The head that the server gets.
Explanation.answer: The head that the client gets.
Explanation.given: The server's head that answer is made of.
Step.subject: What is decided: listener, limit, proxy, tls, request, rules, persistence, servers, scheduler, sent or answer.
Step.mark: good, note (worth knowing) or stop (here it ends).
Step.sentence: What is decided, and why.
RuleTrial.number: Its place in the list, 1 for the first.
RuleTrial.label: Label of the rule.
RuleTrial.held: Whether all its conditions hold.
RuleTrial.sentence: What it does, or why not.
RuleTrial.conditions: What each condition sees.
ConditionTrial.condition: The condition in words.
ConditionTrial.holds: Whether it holds.
ConditionTrial.saw: What it looks at; absent: there is nothing of that name.
Candidate.id: Id of the real server.
Candidate.label: Label of the real server.
Candidate.state: What is wanted of it, as running.
Candidate.health: What is seen of it.
Candidate.weight: Its share.
Candidate.connections: Connections that are open on it.
Candidate.max_connections: The most that it may have; absent: no limit.
Candidate.backup: true: it serves only when none of the others does.
Candidate.usable: Whether it takes new clients now.
Candidate.sentence: How it is, for this client.
Availability.virtual_service: Id of the service.
Availability.virtual_service_label: Label of the service.
Availability.period: hour, day, week, month or year, up to now.
Availability.known_ns: Nanoseconds of the period of which is known how the service was.
Availability.down_ns: Nanoseconds of them in which no real server served.
Availability.longest_ns: The longest outage, within the period.
Availability.percent: How much of what is known it was up, 0 to 100; -1: nothing is known.
Availability.outages: When it was not, the newest first.
Outage.virtual_service: Id of the service.
Outage.virtual_service_label: Label of the service as it was then.
Outage.from: When it began.
Outage.to: When it ended; absent: it goes on.
Outage.lasted_ns: How long it lasted, or lasts until now.
Outage.state: What it began with: down, fallback or drained.
Outage.sentence: Why it began.
HealthEvent.id: Grows with each change.
HealthEvent.at: When it changed.
HealthEvent.virtual_service: Id of the service.
HealthEvent.virtual_service_label: Label of the service as it was then.
HealthEvent.real_server: Id of the real server; absent: the service as a whole changed.
HealthEvent.real_server_label: Label of the real server as it was then.
HealthEvent.state: What it became: up or down; online, drain or halt by an operator; of a service one of its states, or removed.
HealthEvent.sentence: Why, in one sentence.
Cleared.cleared: How many entries were forgotten.
Alert.code: Name of the alert in the catalogue.
Alert.severity: How urgent it is.
Alert.since: Since when it stands.
Alert.sentence: What is the matter.
Alert.hint: What can be done.
Release.product: Name of the product.
Release.version: Version of the product.
Release.revision: Number of the newest revision.
Operator.name: Name of the account.
Operator.role: What the account may do.
Operator.created: When it was made.
NewUser.name: Name of the account: small letters, digits, dot, _ and -, beginning with a letter.
NewUser.role: What the account may do.
NewUser.password: At least 12 characters, not a common one.
RoleChange.role: What the account may do from now on.
PasswordChange.password: At least 12 characters, not a common one.
TokenRequest.label: What the token is for.
TokenRequest.role: What the token may do; never more than its user may.
TokenRequest.operator: The user whom it belongs to and ends with; absent: who asks.
TokenRequest.life: How long it is valid; absent: for ever.
Token.id: Names the token in lists.
Token.label: What the token is for.
Token.operator: The user whom it belongs to and ends with.
Token.role: What the token may do.
Token.created: When it was made.
Token.expires: When it ends; absent: never.
IssuedToken.id: Names the token in lists.
IssuedToken.label: What the token is for.
IssuedToken.operator: The user whom it belongs to and ends with.
IssuedToken.role: What the token may do.
IssuedToken.created: When it was made.
IssuedToken.expires: When it ends; absent: never.
IssuedToken.token: The secret, to be sent as Authorization: Bearer. It is shown here and never again.
Problem.type: Names the kind of failure.
Problem.title: The kind of failure in a few words.
Problem.status: The HTTP status.
Problem.detail: What happened, in a sentence.
Problem.errors: Every refusal, with its field.
Problem.current: With 412: the object as it is now.
Problem.changed: With 412: what was changed since the object was read.
Problem.host_key: With 428 of a pairing: the host key that is to be confirmed.
Problem.steps: Of a pairing that stopped: how far it came.
FieldError.field: Path of the field within the object that was sent; empty when none is at fault.
FieldError.message: What is wrong, in a sentence.
FieldError.hint: What to do about it.
`
