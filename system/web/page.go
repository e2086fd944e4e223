package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"path"
	"time"
)

//go:embed *.html *.css *.js *.svg
var files embed.FS

// pageTemplate has one definition per section of the page; /live sends the same sections again when they change.
var pageTemplate = template.Must(template.ParseFS(files, "*.html"))

// page renders the status page, of this node or with scope=cluster of all. It answers 503, with what was last known, when nobody
// answers.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	live, ok := s.scoped(w, r)
	if !ok {
		return
	}
	status, err := live.ask(r.Context())
	if err != nil {
		s.o.Log.WarnContext(r.Context(), "page: no status", "err", err)
	}
	v := live.view(&status, err, time.Now())
	code := http.StatusOK
	if v.Silent != "" {
		code = http.StatusServiceUnavailable
	}
	s.html(w, r, code, "page", v)
}

// scoped is the page that a request is about. Where ok is false the request is answered.
func (s *Server) scoped(w http.ResponseWriter, r *http.Request) (of *live, ok bool) {
	switch scope := r.URL.Query().Get("scope"); {
	case scope == "" || scope == "node":
		return s.live, true
	case scope == "cluster" && s.o.Cluster != nil:
		return s.herd, true
	case scope == "cluster":
		http.Redirect(w, r, "/", http.StatusFound) // this node is all there is
	default:
		http.Error(w, badScope, http.StatusBadRequest)
	}
	return nil, false
}

const badScope = "scope is node (the default) or cluster"

// assets are the files that the pages load, by their paths.
var assets = []string{"page.js", "grid.js", "table.js", "shards.js", "charts.js", "theme.js", "page.css", "icon.svg"}

var contentTypes = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
}

// asset serves an embedded file. Browsers keep it and ask each time whether it is still the same, so a new
// version of drover never meets an old script.
func asset(name string) http.Handler {
	body, err := files.ReadFile(name)
	if err != nil {
		panic("web: " + err.Error()) // cannot be: go:embed has checked the name
	}
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentTypes[path.Ext(name)])
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", tag)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
	})
}
