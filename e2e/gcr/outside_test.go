package gcr_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/gcp"
)

// keyFile makes a key of a Google service account, as it is downloaded.
func (n *node) keyFile(email string) string {
	n.T.Helper()
	return cloudtest.File(n.T, n.key(email))
}

func (n *node) key(email string) string {
	n.T.Helper()
	content, err := n.gcp.AddKey(email)
	if err != nil {
		n.T.Fatal(err)
	}
	return string(content)
}

// externalAccount is the file of a workload that proves itself with a token in
// another file, as gcloud makes it, with some fields changed. A nil takes a
// field away.
func (n *node) externalAccount(changes map[string]any) string {
	n.T.Helper()
	return externalAccount(n.T, n.pod(shop, wifAudience, time.Hour).token, changes)
}

func externalAccount(t *testing.T, token string, changes map[string]any) string {
	t.Helper()
	fields := map[string]any{
		"universe_domain":    "googleapis.com",
		"type":               "external_account",
		"audience":           "//iam.googleapis.com/" + wifProvider,
		"subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
		"token_url":          "https://sts.googleapis.com/v1/token",
		"credential_source":  map[string]any{"file": cloudtest.File(t, token)},
	}
	maps.Copy(fields, changes)
	maps.DeleteFunc(fields, func(_ string, value any) bool { return value == nil })
	content, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

const impersonationURL = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/" + pullAccount + ":generateAccessToken"

// Off Google Cloud the node's identity is in a file. What is in the file is
// exchanged, and never handed out: registries would take a key as a password.
func TestTheNodesIdentityIsInAFile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		content   func(n *node) string
		principal gcp.Principal
		asks      []calls
	}{
		{"service account key", func(n *node) string { return n.key(pullAccount) }, gcp.Account(pullAccount), []calls{askOAuth2}},
		{"external account", func(n *node) string { return n.externalAccount(nil) }, ownPrincipal(shop), []calls{askSTS}},
		{"external account that impersonates", func(n *node) string {
			n.gcp.AddServiceAccount(gcp.ServiceAccount{Email: pullAccount, Impersonators: []gcp.Principal{ownPrincipal(shop)}})
			return n.externalAccount(map[string]any{"service_account_impersonation_url": impersonationURL})
		}, gcp.Account(pullAccount), []calls{askSTS, askCredentials}},
		{"external account with its token in JSON", func(n *node) string {
			token := fmt.Sprintf(`{"id_token":%q}`, n.pod(shop, wifAudience, time.Hour).token)
			return n.externalAccount(map[string]any{"credential_source": map[string]any{
				"file": cloudtest.File(n.T, token), "format": map[string]any{"type": "json", "subject_token_field_name": "id_token"},
			}})
		}, ownPrincipal(shop), []calls{askSTS}},
		{"key that impersonates", func(n *node) string {
			n.gcp.AddServiceAccount(gcp.ServiceAccount{Email: pullAccount, Impersonators: []gcp.Principal{gcp.Account(nodeAccount)}})
			return fmt.Sprintf(`{"type":"impersonated_service_account","service_account_impersonation_url":%q,"delegates":[],"source_credentials":%s}`,
				impersonationURL, n.key(nodeAccount))
		}, gcp.Account(pullAccount), []calls{askOAuth2, askCredentials}},
	} {
		for how, q := range map[string]func(path string) question{
			"variable": func(path string) question {
				return question{Env: []string{"GOOGLE_APPLICATION_CREDENTIALS=" + path}}
			},
			"flag": func(path string) question { return question{Args: []string{"--credentials-file", path}} },
			"file": func(path string) question {
				return question{Args: []string{"--config", configFile(t, "credentialsFile: "+path+"\n")}}
			},
		} {
			t.Run(test.name+" by "+how, func(t *testing.T) {
				t.Parallel()
				n := bootOutside(t)
				content := test.content(n)
				q := q(cloudtest.File(t, content))
				q.Image = registry + "/p/r/app"
				token := n.ask(q).wantCredential(registry, test.principal)
				if token.keep != 10*time.Minute {
					t.Errorf("the kubelet keeps it for %s, want 10m", token.keep)
				}
				n.WantCalls(test.asks...)
				n.ask(q).wantCredential(registry, test.principal)
				n.WantCalls()
			})
		}
	}
}

// A workload may get its token from an address, such as one on its own node.
// A proxy has no part in that.
func TestASubjectTokenFromTheNodesOwnLink(t *testing.T) {
	t.Parallel()
	n := bootOutside(t)
	token := n.pod(shop, wifAudience, time.Hour).token
	if err := n.Cloud.Serve(netip.MustParseAddrPort("169.254.1.1:80"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Who") != "node" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(token))
	})); err != nil {
		t.Fatal(err)
	}
	path := cloudtest.File(t, n.externalAccount(map[string]any{"credential_source": map[string]any{
		"url": "http://169.254.1.1/token", "headers": map[string]any{"X-Who": "node"},
	}}))
	n.ask(question{Image: registry + "/p/r/app", Env: []string{"GOOGLE_APPLICATION_CREDENTIALS=" + path, "HTTP_PROXY=http://192.0.2.3:3128"}}).
		wantCredential(registry, ownPrincipal(shop))
	n.WantCalls(askSTS)
}

// Google's library runs a program for a token only where the environment
// allows it.
func TestASubjectTokenFromAProgram(t *testing.T) {
	t.Parallel()
	n := bootOutside(t)
	printed := cloudtest.File(t, fmt.Sprintf(`{"version":1,"success":true,"token_type":"urn:ietf:params:oauth:token-type:jwt","id_token":%q,"expiration_time":%d}`,
		n.pod(shop, wifAudience, time.Hour).token, time.Now().Add(time.Hour).Unix()))
	path := cloudtest.File(t, n.externalAccount(map[string]any{"credential_source": map[string]any{
		"executable": map[string]any{"command": "/bin/cat " + printed, "timeout_millis": 5000},
	}}))
	q := question{Image: registry + "/p/r/app", Env: []string{"GOOGLE_APPLICATION_CREDENTIALS=" + path}}
	n.ask(q).WantFailure(1, path, "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES")
	n.WantCalls()
	q.Env = append(q.Env, "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1")
	n.ask(q).wantCredential(registry, ownPrincipal(shop))
	n.WantCalls(askSTS)
}

// Whoever can write such a file sends the node's tokens where the file says,
// so far as we let it. No call is made, and no name is looked up.
func TestAFileWithAnAddressOfOthersIsRefused(t *testing.T) {
	t.Parallel()
	const (
		atSTS    = "token_url"
		atIAM    = "service_account_impersonation_url"
		atSource = "credential_source"
	)
	for _, test := range []struct {
		name    string
		changes map[string]any
		says    string
	}{
		{"STS of others", map[string]any{atSTS: "https://sts.evil.com/v1/token"}, atSTS},
		{"STS that looks alike", map[string]any{atSTS: "https://sts.googleapis.com.evil.com/v1/token"}, atSTS},
		{"STS that ends alike", map[string]any{atSTS: "https://evilgoogleapis.com/v1/token"}, atSTS},
		{"STS as a user of others", map[string]any{atSTS: "https://sts.googleapis.com@evil.com/v1/token"}, atSTS},
		{"STS as a user", map[string]any{atSTS: "https://evil@sts.googleapis.com/v1/token"}, atSTS},
		{"STS in the clear", map[string]any{atSTS: "http://sts.googleapis.com/v1/token"}, atSTS},
		{"STS at another port", map[string]any{atSTS: "https://sts.googleapis.com:8443/v1/token"}, atSTS},
		{"STS at an address", map[string]any{atSTS: "https://192.0.2.20/v1/token"}, atSTS},
		{"STS of another universe", map[string]any{atSTS: "https://sts.s3nsapis.fr/v1/token"}, atSTS},
		{"STS in another case", map[string]any{atSTS: nil, "TOKEN_URL": "https://sts.evil.com/v1/token"}, atSTS},
		{"IAM of others", map[string]any{atIAM: strings.Replace(impersonationURL, "googleapis.com", "evil.com", 1)}, atIAM},
		{"IAM in the clear", map[string]any{atIAM: strings.Replace(impersonationURL, "https", "http", 1)}, atIAM},
		{"another universe", map[string]any{"universe_domain": "s3nsapis.fr"}, "--universe-domain"},
		{"subject token in the clear", map[string]any{atSource: map[string]any{"url": "http://tokens.example.com/"}}, atSource},
		{"subject token from a device", map[string]any{atSource: map[string]any{"file": "/dev/zero"}}, atSource},
		{"subject token from nowhere", map[string]any{atSource: map[string]any{"file": "/nonexistent"}}, atSource},
		{"no source", map[string]any{atSource: nil}, atSource},
		{"a person's", map[string]any{"type": "authorized_user", "client_id": "x", "client_secret": "x", "refresh_token": "x"}, "authorized_user"},
		{"of another Google", map[string]any{"type": "gdch_service_account"}, "gdch_service_account"},
		{"no type", map[string]any{"type": nil}, "type"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootOutside(t)
			path := cloudtest.File(t, n.externalAccount(test.changes))
			n.ask(question{Image: registry + "/p/r/app", Env: []string{"GOOGLE_APPLICATION_CREDENTIALS=" + path}}).WantFailure(1, path, test.says)
			n.WantCalls()
		})
	}
	for name, change := range map[string]func(content string) string{
		"not JSON": func(content string) string { return content[:len(content)/2] },
		"key for others": func(content string) string {
			return strings.Replace(content, "https://oauth2.googleapis.com/token", "https://oauth2.evil.com/token", 1)
		},
		"key of another universe": func(content string) string {
			return strings.Replace(content, `"universe_domain": "googleapis.com"`, `"universe_domain": "evil.com"`, 1)
		},
		"key that is broken": func(content string) string {
			return strings.Replace(content, "BEGIN PRIVATE KEY-----", "BEGIN-----x", 1)
		},
		"empty": func(string) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := bootOutside(t)
			path := cloudtest.File(t, change(n.key(pullAccount)))
			n.ask(question{Image: registry + "/p/r/app", Env: []string{"GOOGLE_APPLICATION_CREDENTIALS=" + path}}).WantFailure(1, path)
			n.WantCalls()
		})
	}
	t.Run("everybody's to write", func(t *testing.T) {
		t.Parallel()
		n := bootOutside(t)
		path := n.keyFile(pullAccount)
		if err := os.Chmod(path, 0o666); err != nil {
			t.Fatal(err)
		}
		n.ask(question{Image: registry + "/p/r/app", Env: []string{"GOOGLE_APPLICATION_CREDENTIALS=" + path}}).WantFailure(1, path, "writable by others")
		n.WantCalls()
	})
	t.Run("not there", func(t *testing.T) {
		t.Parallel()
		n := bootNode(t) // whose metadata server is not asked instead
		n.ask(question{Image: registry + "/p/r/app", Env: []string{"GOOGLE_APPLICATION_CREDENTIALS=/nonexistent.json"}}).WantFailure(1, "/nonexistent.json")
		n.WantCalls()
	})
}

// A library would follow a redirect with the subject token in its hands.
func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	n := bootOutside(t)
	evil := 0
	if err := n.Cloud.ServeTLS(netip.MustParseAddr("192.0.2.66"), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { evil++ }), "evil.example"); err != nil {
		t.Fatal(err)
	}
	// Google's, but not the fake's: an open redirector.
	if err := n.Cloud.ServeTLS(netip.MustParseAddr("192.0.2.67"), http.RedirectHandler("https://evil.example/", http.StatusTemporaryRedirect), "storage.googleapis.com"); err != nil {
		t.Fatal(err)
	}
	path := cloudtest.File(t, n.externalAccount(map[string]any{"token_url": "https://storage.googleapis.com/v1/token"}))
	n.ask(question{Image: registry + "/p/r/app", Env: []string{"GOOGLE_APPLICATION_CREDENTIALS=" + path}}).WantFailure(1, path, "307")
	if evil != 0 {
		t.Error("the redirect was followed")
	}
}

// What Google says of a file's identity is said with what to do about it.
func TestAFilesIdentityThatIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		content func(n *node) string
		says    []string
	}{
		{"key that was deleted", func(n *node) string {
			other := gcp.New(&cloud.Calls{}, &cloud.Faults{})
			content, err := other.AddKey(pullAccount)
			if err != nil {
				n.T.Fatal(err)
			}
			return string(content)
		}, []string{tokenAPI, "status 400 invalid_grant", "key"}},
		{"provider that does not exist", func(n *node) string {
			return n.externalAccount(map[string]any{"audience": strings.Replace("//iam.googleapis.com/"+wifProvider, "/main", "/none", 1)})
		}, []string{stsAPI, "status 400 invalid_target"}},
		{"service account that does not exist", func(n *node) string {
			return n.externalAccount(map[string]any{"service_account_impersonation_url": impersonationURL})
		}, []string{credentialsAPI, "status 403 PERMISSION_DENIED", "roles/iam."}},
		{"subject token that is not there any more", func(n *node) string {
			return n.externalAccount(map[string]any{"credential_source": map[string]any{"url": "http://127.0.0.1:9/token"}})
		}, []string{"127.0.0.1:9", "connection refused"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootOutside(t)
			path := cloudtest.File(t, test.content(n))
			q := question{Image: registry + "/p/r/app", Env: []string{"GOOGLE_APPLICATION_CREDENTIALS=" + path}}
			n.ask(q).WantFailure(1, append(test.says, path)...)
			n.WantRecorded(cloudtest.Question(q), test.says...)
		})
	}
}

// A file that counts for the node is no pod's.
func TestAFileIsTheNodesAndNoPods(t *testing.T) {
	t.Parallel()
	n := bootOutside(t)
	q := n.pod(shop, wifAudience, time.Hour).question(registry + "/p/r/app")
	q.Env = []string{"GOOGLE_APPLICATION_CREDENTIALS=" + n.keyFile(nodeAccount)}
	n.ask(q).WantFailure(1, "service account shop/web", "--workload-identity-provider")
	n.WantCalls()
	q.Args = wifArgs
	n.ask(q).wantCredential(registry, ownPrincipal(shop))
	n.WantCalls(askSTS)
}
