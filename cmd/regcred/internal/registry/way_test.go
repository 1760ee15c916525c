package registry

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Where only the way matters, a registry is asked for its version of the API
// alone, and whatever it answers will do.
func TestTheWayAlone(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	status := http.StatusUnauthorized
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
		w.WriteHeader(status)
	}))
	host := strings.TrimPrefix(server.URL, "http://")
	checker := Checker{WayOnly: true}
	for _, status = range []int{http.StatusUnauthorized, http.StatusOK, http.StatusNotFound} {
		results, err := checker.Check(t.Context(), host+"/team/app:v1", nil)
		if err != nil || len(results) != 1 || !results[0].OK || results[0].Failed() != nil {
			t.Errorf("status %d: %+v, %v", status, results, err)
		}
	}
	if !slices.Equal(asked, []string{"GET /v2/ ", "GET /v2/ ", "GET /v2/ "}) {
		t.Errorf("asked %q", asked)
	}
	server.Close()
	results, err := checker.Check(t.Context(), host+"/team/app:v1", nil)
	if err != nil || len(results) != 1 || results[0].OK || results[0].Failed().Name != Connect {
		t.Errorf("nobody there: %+v, %v", results, err)
	}
	results, err = checker.Check(t.Context(), "registry.invalid/team/app:v1", nil)
	if err != nil || len(results) != 1 || results[0].OK || results[0].Failed().Name != DNS {
		t.Errorf("no such name: %+v, %v", results, err)
	}
}
