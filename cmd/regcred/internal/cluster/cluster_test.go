package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const secretToken = "a-token-that-nobody-is-to-see"

// apiServer answers as an API server does, and keeps what it was asked.
type apiServer struct {
	*httptest.Server
	caller  string // who asked last: its certificate's or its token's
	body    map[string]any
	header  http.Header
	answers map[string]string // METHOD PATH to JSON
}

func newServer(t *testing.T) *apiServer {
	s := &apiServer{answers: map[string]string{
		"GET /api/v1/namespaces/team/serviceaccounts/app": `{"metadata":{"namespace":"team","name":"app","uid":"u1","annotations":{"a":"b"}},"imagePullSecrets":[{"name":"s1"}]}`,
	}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.header, s.body, s.caller = r.Header, nil, ""
		if len(r.TLS.PeerCertificates) > 0 {
			s.caller = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			s.caller = "token " + token
		}
		text, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(text, &s.body)
		w.Header().Set("Content-Type", "application/json")
		answer, ok := s.answers[r.Method+" "+r.URL.Path]
		switch {
		case !ok:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"kind":"Status","reason":"NotFound","message":"not found","code":404}`)
		case strings.Contains(answer, `"Forbidden"`):
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, answer)
		case strings.Contains(answer, `"Unauthorized"`):
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, answer)
		default:
			_, _ = io.WriteString(w, answer)
		}
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *apiServer) ca() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// open opens a client with the lines of a cluster and of a user.
func (s *apiServer) open(t *testing.T, cluster, user string) (*Client, error) {
	t.Helper()
	return openText(t, t.TempDir(), strings.NewReplacer("CLUSTER", "server: "+s.URL+"\n    "+cluster, "USER", user).Replace(`apiVersion: v1
kind: Config
current-context: here
unknown-field: is passed over
contexts:
- name: other
  context: {cluster: none, user: none}
- name: here
  context: {cluster: c, user: u, namespace: team}
clusters:
- name: c
  cluster:
    CLUSTER
users:
- name: u
  user:
    USER
`))
}

func openText(t *testing.T, dir, text string) (*Client, error) {
	t.Helper()
	path := write(t, dir, "kubeconfig", text)
	return New(t.Context(), Options{Kubeconfig: path, Getenv: func(string) string { return "" }})
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// clientPEM is a certificate and its key in one text, as the kubelet keeps its
// own.
func clientPEM(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

func TestWaysToProveWhoAsks(t *testing.T) {
	s := newServer(t)
	dir := t.TempDir()
	ca := write(t, dir, "ca.crt", string(s.ca()))
	data := base64.StdEncoding.EncodeToString(s.ca())
	both := clientPEM(t, "system:node:node1")
	pair := write(t, dir, "client.pem", both)
	token := write(t, dir, "token", secretToken+"\n")
	plugin := write(t, dir, "plugin", `#!/bin/sh
test "$FLAVOUR" = sweet && test "$1" = get-token || exit 3
case "$KUBERNETES_EXEC_INFO" in *'"interactive":false'*'v1"'*) ;; *'v1"'*'"interactive":false'*) ;; *) exit 4;; esac
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"`+secretToken+`"}}'
`)
	for _, test := range []struct{ name, cluster, user, want string }{
		{"files", "certificate-authority: " + ca, "{client-certificate: " + pair + ", client-key: " + pair + "}", "system:node:node1"},
		{"data", "certificate-authority-data: " + data, "{client-certificate-data: " + b64(both) + ", client-key-data: " + b64(both) + "}", "system:node:node1"},
		{"a token", "certificate-authority: " + ca, "{token: " + secretToken + "}", "token " + secretToken},
		{"a file of a token, which wins", "certificate-authority: " + ca, "{token: x, tokenFile: " + token + "}", "token " + secretToken},
		{"an exec plugin", "certificate-authority: " + ca, "{exec: {apiVersion: client.authentication.k8s.io/v1, command: " + plugin + ", args: [get-token], env: [{name: FLAVOUR, value: sweet}]}}", "token " + secretToken},
		{"nobody", "certificate-authority: " + ca, "{}", ""},
		{"without verification", "insecure-skip-tls-verify: true", "{token: " + secretToken + "}", "token " + secretToken},
		{"another name of the server", "certificate-authority: " + ca + "\n    tls-server-name: example.com", "{token: " + secretToken + "}", "token " + secretToken},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := s.open(t, test.cluster, test.user)
			if err != nil {
				t.Fatal(err)
			}
			account, err := c.ServiceAccount(t.Context(), "team", "app")
			if err != nil {
				t.Fatal(err)
			}
			if account.Meta.UID != "u1" || account.Meta.Annotations["a"] != "b" || account.ImagePullSecrets[0].Name != "s1" {
				t.Errorf("account %+v", account)
			}
			if s.caller != test.want || c.Namespace != "team" {
				t.Errorf("asked as %q in %q; want %q", s.caller, c.Namespace, test.want)
			}
			if warned := len(c.Warnings) > 0; warned != strings.Contains(test.cluster, "insecure") {
				t.Errorf("warnings %q", c.Warnings)
			}
		})
	}
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestImpersonation(t *testing.T) {
	s := newServer(t)
	c, err := s.open(t, "insecure-skip-tls-verify: true", "{as: system:node:n, as-groups: [system:nodes, x]}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ServiceAccount(t.Context(), "team", "app"); err != nil {
		t.Fatal(err)
	}
	if got := s.header.Get("Impersonate-User"); got != "system:node:n" || len(s.header["Impersonate-Group"]) != 2 {
		t.Errorf("impersonates %q, groups %q", got, s.header["Impersonate-Group"])
	}
}

func TestProxy(t *testing.T) {
	s := newServer(t)
	asked := ""
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.Host
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	c, err := s.open(t, "insecure-skip-tls-verify: true\n    proxy-url: "+proxy.URL, "{}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ServiceAccount(t.Context(), "team", "app"); err == nil || asked != "CONNECT "+strings.TrimPrefix(s.URL, "https://") {
		t.Errorf("the proxy was asked for %q, and %v came of it", asked, err)
	}
}

func TestBadKubeconfigs(t *testing.T) {
	s := newServer(t)
	for _, test := range []struct{ name, text, want string }{
		{"no YAML", "a: [", "neither YAML nor JSON"},
		{"a field of another type", "contexts: " + secretToken, "a field has another type"},
		{"no context", "{}", "no current-context"},
		{"a context that is not there", "current-context: x", `the current-context "x"`},
		{"no cluster", "{current-context: x, contexts: [{name: x, context: {cluster: c}}]}", `the cluster "c"`},
		{"no user", "{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}], clusters: [{name: c, cluster: {server: 'https://h'}}]}", `the user "u"`},
		{"no server", "{current-context: x, contexts: [{name: x, context: {cluster: c}}], clusters: [{name: c}]}", "server is not an http or https URL"},
		{"an old way", "{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}], clusters: [{name: c}], users: [{name: u, user: {auth-provider: {name: gcp}}}]}", "auth-provider gcp"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := openText(t, t.TempDir(), test.text)
			checkLine(t, err, test.want)
		})
	}
	for _, test := range []struct{ name, cluster, user, want string }{
		{"no CA file", "certificate-authority: gone.crt", "{}", "gone.crt: no such file"},
		{"no PEM", "certificate-authority-data: " + b64("x"), "{}", "no PEM certificate"},
		{"half a pair", "insecure-skip-tls-verify: true", "{client-certificate-data: " + b64("x") + "}", "client-certificate without client-key"},
		{"no pair", "insecure-skip-tls-verify: true", "{client-certificate-data: " + b64("x") + ", client-key-data: " + b64(secretToken) + "}", "client certificate: "},
		{"no token file", "insecure-skip-tls-verify: true", "{tokenFile: gone}", "token file: no such file"},
		{"no exec plugin", "insecure-skip-tls-verify: true", "{exec: {apiVersion: client.authentication.k8s.io/v1, command: /gone, installHint: install it}}", "install it"},
		{"an old exec plugin", "insecure-skip-tls-verify: true", "{exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: /gone}}", "v1alpha1"},
		{"an exec plugin of other words", "insecure-skip-tls-verify: true", "{exec: {apiVersion: client.authentication.k8s.io/v1, command: echo, args: [" + secretToken + "]}}", "no ExecCredential"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := s.open(t, test.cluster, test.user)
			checkLine(t, err, test.want)
		})
	}
	_, err := New(t.Context(), Options{Getenv: func(string) string { return "" }})
	checkLine(t, err, "give --kubeconfig")
	_, err = New(t.Context(), Options{Kubeconfig: "/gone", Getenv: func(string) string { return "" }})
	checkLine(t, err, "kubeconfig /gone: no such file")
}

// checkLine checks that an error says what is wanted, in one line and without
// the secret.
func checkLine(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("no error; want %q", want)
	case !strings.Contains(err.Error(), want):
		t.Errorf("error %q; want %q", err, want)
	case strings.Contains(err.Error(), secretToken), strings.Contains(err.Error(), "\n"):
		t.Errorf("error %q has a secret, or several lines", err)
	}
}

func TestToken(t *testing.T) {
	s := newServer(t)
	c, err := s.open(t, "insecure-skip-tls-verify: true", "{token: x}")
	if err != nil {
		t.Fatal(err)
	}
	const path = "POST /api/v1/namespaces/team/serviceaccounts/app/token"
	s.answers[path] = `{"status":{"token":"` + secretToken + `","expirationTimestamp":"2030-01-02T03:04:05Z"}}`
	token, expires, err := c.Token(t.Context(), TokenRequest{Namespace: "team", ServiceAccount: "app", Audience: "sts.example.com", PodName: "p", PodUID: "u"})
	if err != nil || token.Reveal() != secretToken || expires.Year() != 2030 {
		t.Errorf("token %q until %s, %v", token.Reveal(), expires, err)
	}
	got, _ := json.Marshal(s.body)
	const want = `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"audiences":["sts.example.com"],"boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"p","uid":"u"}}}`
	if string(got) != want {
		t.Errorf("asked %s; want %s", got, want)
	}

	s.answers[path] = `{"kind":"Status","reason":"Forbidden","message":"audience \"x\" not found"}`
	_, _, err = c.Token(t.Context(), TokenRequest{Namespace: "team", ServiceAccount: "app", Audience: "x", PodName: "p"})
	checkLine(t, err, `verb request-serviceaccounts-token-audience on the resource "x"`)
	_, _, err = c.Token(t.Context(), TokenRequest{Namespace: "team", ServiceAccount: "app", Audience: "x"})
	checkLine(t, err, "give --pod")
	if !IsForbidden(err) || IsNotFound(err) {
		t.Errorf("%v is forbidden", err)
	}
	s.answers[path] = `{"status":{}}`
	_, _, err = c.Token(t.Context(), TokenRequest{Namespace: "team", ServiceAccount: "app", Audience: "x"})
	checkLine(t, err, "no token in the answer")
}

func TestObjects(t *testing.T) {
	s := newServer(t)
	c, err := s.open(t, "insecure-skip-tls-verify: true", "{token: x}")
	if err != nil {
		t.Fatal(err)
	}
	s.answers["GET /api/v1/namespaces/team/secrets/s"] = `{"metadata":{"uid":"1"},"type":"kubernetes.io/dockerconfigjson","data":{".dockerconfigjson":"` + b64("{}") + `"}}`
	secret, err := c.Secret(t.Context(), "team", "s")
	if err != nil || string(secret.Data[".dockerconfigjson"]) != "{}" || secret.Type != "kubernetes.io/dockerconfigjson" {
		t.Errorf("secret %+v, %v", secret, err)
	}
	s.answers["GET /api/v1/namespaces/team/pods/p"] = `{"metadata":{"uid":"2"},"spec":{"volumes":[{"name":"v","image":{"reference":"vol"}},{"name":"w"}],
		"initContainers":[{"image":"init"}],"containers":[{"image":"a"},{"image":"init"}],"imagePullSecrets":[{"name":"s"}]}}`
	pod, err := c.Pod(t.Context(), "team", "p")
	if err != nil || strings.Join(pod.Images(), " ") != "vol init a" || pod.Spec.ServiceAccountName != "default" {
		t.Errorf("pod %+v, %v", pod, err)
	}
	s.answers["POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"] = `{"status":{"allowed":true,"reason":"RBAC"}}`
	allowed, reason, err := c.May(t.Context(), Access{Verb: "request-serviceaccounts-token-audience", Resource: "x"})
	if err != nil || !allowed || reason != "RBAC" {
		t.Errorf("allowed %t, %q, %v", allowed, reason, err)
	}
	_, err = c.Pod(t.Context(), "team", "../../gone")
	checkLine(t, err, "get pod team/../../gone: not found [API server 127.0.0.1:")
	if !IsNotFound(err) {
		t.Errorf("%v is not found", err)
	}
}

// Go's client would send a token to other ports of the host, and Impersonate
// headers and certificates anywhere.
func TestARedirectIsNotFollowed(t *testing.T) {
	asked := ""
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.Header.Get("Authorization") + " was sent" }))
	defer elsewhere.Close()
	s := newServer(t)
	s.Config.Handler = http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect)
	c, err := s.open(t, "insecure-skip-tls-verify: true", "{token: "+secretToken+"}")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Pod(t.Context(), "team", "p")
	checkLine(t, err, "is not the API server")
	if asked != "" {
		t.Error(asked)
	}
}

func TestRefusals(t *testing.T) {
	s := newServer(t)
	c, err := s.open(t, "insecure-skip-tls-verify: true", "{token: "+secretToken+"}")
	if err != nil {
		t.Fatal(err)
	}
	const path = "GET /api/v1/namespaces/team/pods/p"
	for _, test := range []struct{ name, answer, want string }{
		{"who is not known", `{"kind":"Status","reason":"Unauthorized","message":"Unauthorized ` + secretToken + `"}`, "give another --kubeconfig"},
		{"no JSON", "hello", "the answer cannot be read"},
		{"without end", strings.Repeat(" ", maxAnswer+1), "more than 8 MiB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.answers[path] = test.answer
			_, err := c.Pod(t.Context(), "team", "p")
			checkLine(t, err, test.want)
		})
	}
	s.Close()
	_, err = c.Pod(t.Context(), "team", "p")
	checkLine(t, err, "nothing listens at 127.0.0.1:")

	other := newServer(t)
	verified, err := openText(t, t.TempDir(), "{current-context: x, contexts: [{name: x, context: {cluster: c}}], clusters: [{name: c, cluster: {server: '"+other.URL+"'}}]}")
	if err != nil {
		t.Fatal(err)
	}
	_, err = verified.Pod(t.Context(), "team", "p")
	checkLine(t, err, "the kubeconfig's certificate-authority")
}
