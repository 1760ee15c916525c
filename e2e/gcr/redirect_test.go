package gcr_test

import (
	"net/http"
	"net/netip"
	"testing"
)

// What answers at the metadata server's place may send the plugin elsewhere,
// where the answer would be somebody else's.
func TestARedirectOfTheMetadataServerIsNotFollowed(t *testing.T) {
	n := bootOutside(t)
	followed := 0
	elsewhere := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		followed++
		w.Header().Set("Metadata-Flavor", "Google")
		_, _ = w.Write([]byte(`{"access_token":"ya29.evil","expires_in":3599,"token_type":"Bearer"}`))
	})
	redirect := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		http.Redirect(w, r, "http://192.0.2.66/", http.StatusFound)
	})
	for at, handler := range map[string]http.Handler{"169.254.169.254:80": redirect, "192.0.2.66:80": elsewhere} {
		if err := n.cloud.Serve(netip.MustParseAddrPort(at), handler); err != nil {
			t.Fatal(err)
		}
	}
	n.ask(question{Image: registry + "/p/r/app"}).wantFailure(1, "metadata", "status 302")
	if followed != 0 {
		t.Error("the redirect was followed")
	}
}
