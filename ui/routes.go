package ui

import (
	"net/http"

	"evenkeel/appliance"
)

// access says who may use a route. Whatever is not listed here does not exist.
type access string

// The accesses: before the first password, without a session, and by role.
const (
	setupOnly access = "setup"
	anyone    access = "anyone"
	viewer    access = access(appliance.Viewer)
	operator  access = access(appliance.OperatorRole)
	admin     access = access(appliance.Administrator)
)

type route struct {
	method, path string
	access       access
	serve        func(*page) error
}

// onActive refuses what only the active node of a pair does, before anything is asked or read. Forms that are typed at length are refused when they are saved instead, with
// what was typed.
func onActive(serve func(*page) error) func(*page) error {
	return func(p *page) error {
		if err := p.ui.Control.Writable(); err != nil {
			return err
		}
		return serve(p)
	}
}

// routes is the sitemap.
func routes() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{get, "/", anyone, toStart},
		{get, "/lbadmin", anyone, toStart},
		{get, "/lbadmin/static/:file", anyone, serveAsset},
		{get, "/lbadmin/setup", setupOnly, setupForm},
		{post, "/lbadmin/setup", setupOnly, setUp},
		{get, "/lbadmin/sign-in", anyone, signInForm},
		{post, "/lbadmin/sign-in", anyone, signIn},
		{post, "/lbadmin/sign-out", anyone, signOut},

		// System Overview
		{get, "/lbadmin/", viewer, overview},
		{get, "/lbadmin/events", viewer, events},
		{get, "/lbadmin/search", viewer, search},
		{post, "/lbadmin/theme", viewer, setTheme},
		{post, "/lbadmin/welcome", viewer, dismissWelcome},
		{get, "/lbadmin/servers", viewer, serversByLabel},
		{post, "/lbadmin/servers", operator, onActive(actOnLabel)},
		{post, "/lbadmin/servers/chosen", operator, onActive(actOnChosen)},
		{get, "/lbadmin/layer7/:service/servers/:server", viewer, serverPage},
		{post, "/lbadmin/layer7/:service/servers/:server/test", operator, testServer},
		{post, "/lbadmin/layer7/:service/servers/:server/check", operator, checkServer},
		{post, "/lbadmin/layer7/:service/servers/:server/online", operator, onActive(bringOnline)},
		{post, "/lbadmin/layer7/:service/servers/:server/drain", operator, onActive(drainServer)},
		{get, "/lbadmin/layer7/:service/servers/:server/halt", operator, onActive(askHalt)},
		{post, "/lbadmin/layer7/:service/servers/:server/halt", operator, onActive(haltServer)},
		{post, "/lbadmin/layer7/:service/servers/:server/weight", operator, onActive(weighServer)},

		// Commit changes
		{get, "/lbadmin/commit", viewer, reviewCommit},
		{post, "/lbadmin/commit/apply", admin, applySaved},
		{post, "/lbadmin/commit/discard", admin, discardSaved},

		// Local Configuration
		{get, "/lbadmin/local", viewer, localForm},
		{post, "/lbadmin/local", admin, saveLocal},
		{get, "/lbadmin/local/traffic-log", viewer, trafficLogForm},
		{post, "/lbadmin/local/traffic-log", admin, saveTrafficLog},

		// Cluster Configuration
		{get, "/lbadmin/wizard", admin, onActive(wizardTemplates)},
		{get, "/lbadmin/wizard/imaging", admin, onActive(wizardForm)},
		{post, "/lbadmin/wizard/imaging", admin, onActive(wizardStep)},
		{get, "/lbadmin/layer7", viewer, serviceList},
		{get, "/lbadmin/layer7/new", admin, onActive(newService)},
		{post, "/lbadmin/layer7/new", admin, addService},
		{get, "/lbadmin/layer7/:service", viewer, editService},
		{post, "/lbadmin/layer7/:service", admin, saveService},
		{get, "/lbadmin/layer7/:service/clone", admin, onActive(cloneService)},
		{get, "/lbadmin/layer7/:service/delete", admin, onActive(askDeleteService)},
		{post, "/lbadmin/layer7/:service/delete", admin, onActive(deleteService)},
		{get, "/lbadmin/scripts", viewer, scriptList},
		{get, "/lbadmin/scripts/new", admin, onActive(newScript)},
		{post, "/lbadmin/scripts/new", admin, addScript},
		{get, "/lbadmin/scripts/:script", viewer, editScript},
		{post, "/lbadmin/scripts/:script", admin, saveScript},
		{get, "/lbadmin/scripts/:script/delete", admin, onActive(askDeleteScript)},
		{post, "/lbadmin/scripts/:script/delete", admin, onActive(deleteScript)},
		{get, "/lbadmin/certificates", viewer, certificateList},
		{get, "/lbadmin/certificates/upload", admin, onActive(uploadForm)},
		{post, "/lbadmin/certificates/upload", admin, onActive(uploadCertificate)},
		{get, "/lbadmin/certificates/self-signed", admin, onActive(newSelfSigned)},
		{post, "/lbadmin/certificates/self-signed", admin, onActive(makeSelfSigned)},
		{get, "/lbadmin/certificates/request", admin, onActive(newRequest)},
		{post, "/lbadmin/certificates/request", admin, onActive(makeRequest)},
		{get, "/lbadmin/certificates/requests/:request", viewer, showRequest},
		{post, "/lbadmin/certificates/requests/:request", admin, onActive(answerRequest)},
		{get, "/lbadmin/certificates/requests/:request/download", viewer, downloadRequest},
		{get, "/lbadmin/certificates/requests/:request/delete", admin, onActive(askDeleteRequest)},
		{post, "/lbadmin/certificates/requests/:request/delete", admin, onActive(deleteRequest)},
		{get, "/lbadmin/certificates/authorities/new", admin, onActive(newAuthority)},
		{post, "/lbadmin/certificates/authorities/new", admin, onActive(addAuthority)},
		{get, "/lbadmin/certificates/authorities/:authority", viewer, editAuthority},
		{post, "/lbadmin/certificates/authorities/:authority", admin, onActive(saveAuthority)},
		{get, "/lbadmin/certificates/authorities/:authority/download", viewer, downloadAuthority},
		{get, "/lbadmin/certificates/authorities/:authority/delete", admin, onActive(askDeleteAuthority)},
		{post, "/lbadmin/certificates/authorities/:authority/delete", admin, onActive(deleteAuthority)},
		{get, "/lbadmin/certificates/:certificate", viewer, showCertificate},
		{post, "/lbadmin/certificates/:certificate", admin, onActive(renameCertificate)},
		{post, "/lbadmin/certificates/:certificate/replace", admin, onActive(replaceCertificate)},
		{post, "/lbadmin/certificates/:certificate/succeed", admin, onActive(succeedCertificate)},
		{get, "/lbadmin/certificates/:certificate/download", viewer, downloadCertificate},
		{get, "/lbadmin/certificates/:certificate/delete", admin, onActive(askDeleteCertificate)},
		{post, "/lbadmin/certificates/:certificate/delete", admin, onActive(deleteCertificate)},
		{get, pairPath, viewer, pairPage},
		{post, pairPath + "/add", admin, addNode},
		{get, pairPath + "/active", admin, askActive},
		{post, pairPath + "/active", admin, makeActive},
		{get, pairPath + "/break", admin, askBreak},
		{post, pairPath + "/break", admin, breakPair},
		{get, pairPath + "/drill", admin, askDrill},
		{post, pairPath + "/drill", admin, drillPair},
		{get, pairPath + "/primary", admin, askPrimary},
		{post, pairPath + "/primary", admin, makePrimary},
		{post, pairPath + "/dismiss", admin, dismissEnd},
		{get, pairPath + "/differences", viewer, pairDifferences},
		{get, pairPath + "/timeline", viewer, pairTimeline},
		{get, heartbeatPath, viewer, heartbeatPage},
		{post, heartbeatPath, admin, saveHeartbeat},
		{post, heartbeatPath + "/restart", admin, restartHeartbeat},
		{post, heartbeatPath + "/rotate-key", admin, rotateKey},
		{get, floatingPath, viewer, floatingPage},
		{get, "/lbadmin/advanced", viewer, advancedForm},
		{post, "/lbadmin/advanced", admin, saveAdvanced},

		// Maintenance
		{get, "/lbadmin/passwords", viewer, passwords},
		{post, "/lbadmin/passwords/own", viewer, onActive(changeOwnPassword)},
		{post, "/lbadmin/passwords/sessions", viewer, endSessions},
		{post, "/lbadmin/passwords/users", admin, onActive(addUser)},
		{get, "/lbadmin/passwords/users/:user", admin, onActive(editUser)},
		{post, "/lbadmin/passwords/users/:user", admin, onActive(saveUser)},
		{post, "/lbadmin/passwords/tokens", viewer, addToken},
		{post, "/lbadmin/passwords/tokens/:token/delete", viewer, deleteToken},
		{get, fallbackPath, viewer, fallbackForm},
		{post, fallbackPath, admin, saveFallback},

		// View Configuration
		{get, "/lbadmin/configuration", viewer, configuration},
		{get, "/lbadmin/configuration/download", viewer, downloadConfiguration},
		{get, "/lbadmin/history", viewer, history},
		{get, "/lbadmin/history/compare", viewer, compareRevisions},
		{get, forkPath + "/:fork", viewer, showFork},
		{post, forkPath + "/:fork/keep", admin, keepFork},
		{get, forkPath + "/:fork/discard", admin, askDiscardFork},
		{post, forkPath + "/:fork/discard", admin, discardFork},
		{get, "/lbadmin/history/:number", viewer, revision},
		{post, "/lbadmin/history/:number/rollback", admin, onActive(rollBack)},

		// Reports
		{get, "/lbadmin/reports/layer7", viewer, layer7Status},
		{get, "/lbadmin/reports/connections", viewer, connections},
		{post, "/lbadmin/reports/connections", operator, closeConnection},
		{get, "/lbadmin/reports/persistence", viewer, persistence},
		{post, "/lbadmin/reports/persistence", operator, onActive(clearPersistence)},
		{get, "/lbadmin/reports/audit", viewer, audit},
		{get, graphsPath, viewer, graphs},
		{get, availabilityPath, viewer, availabilityReport},
		{get, healthChangesPath, viewer, healthChanges},
		{get, explainPath, viewer, explain},

		// Logs
		{get, logsPath, viewer, trafficLog},
		{get, logsPath + "/download", viewer, downloadTrafficLog},
	}
}
