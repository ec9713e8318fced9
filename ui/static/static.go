// Package static holds the files that the pages need: one style sheet, one script, one icon. Each is served under a name that carries the hash of its content,
// so that browsers may keep it for ever.
package static

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed app.css app.js icon.svg
var files embed.FS

// Prefix is where the files are served.
const Prefix = "/lbadmin/static/"

// Assets serves the embedded files. It is immutable.
type Assets struct {
	byName  map[string]asset
	address map[string]string
}

type asset struct {
	content []byte
	kind    string
}

// New reads the embedded files.
func New() *Assets {
	a := &Assets{byName: map[string]asset{}, address: map[string]string{}}
	for _, name := range []string{"app.css", "app.js", "icon.svg"} {
		content, err := files.ReadFile(name)
		if err != nil {
			panic("static: " + err.Error())
		}
		sum := sha256.Sum256(content)
		ext := path.Ext(name)
		hashed := strings.TrimSuffix(name, ext) + "-" + hex.EncodeToString(sum[:6]) + ext
		a.byName[hashed] = asset{content, kindOf(ext)}
		a.address[name] = Prefix + hashed
	}
	return a
}

// kindOf does not ask the machine's tables, which may say anything.
func kindOf(ext string) string {
	switch ext {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	}
	return "image/svg+xml"
}

// Address returns where a file is served.
func (a *Assets) Address(name string) string { return a.address[name] }

// Serve answers with the file of that hashed name, and tells whether there is one.
func (a *Assets) Serve(w http.ResponseWriter, r *http.Request, hashed string) bool {
	file, ok := a.byName[hashed]
	if !ok {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", file.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.content))
	return true
}
