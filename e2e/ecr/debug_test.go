package ecr_test

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Go prints the headers of HTTP/2 when the environment says so, tokens too.
func TestDebuggingTheRuntimePrintsNoToken(t *testing.T) {
	const host, password = "ecr.http2.example", "this-password-is-for-the-kubelet-alone"
	for _, debug := range []string{"http2debug=2", "http2debug=1,netdns=2,gctrace=0"} {
		t.Run(debug, func(t *testing.T) {
			n := bootNode(t)
			session, err := n.aws.AddSession(nodeRole, "debug", time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			shown := n.serveHTTP2(host, password)
			q := question{Image: registry + "/app", Env: append(environment(session), "GODEBUG="+debug, "AWS_ENDPOINT_URL_ECR=https://"+host)}
			log := filepath.Join(t.TempDir(), "log")
			q.Args = []string{"--log-level=debug", "--log-file", log}
			a := n.ask(q)
			if response, _ := a.Response(); response.Auth[registry].Password != password {
				t.Error("the password is not the one of the endpoint")
			}
			if got := shown(); got != session.SessionToken {
				t.Fatalf("the endpoint was not asked by HTTP/2 with the session's token, but with %q", got)
			}
			for where, text := range map[string]string{"stderr": a.Stderr, "the log": read(t, log)} {
				for _, secret := range []string{session.SessionToken, session.SecretAccessKey, session.AccessKeyID, password} {
					if strings.Contains(text, secret) {
						t.Errorf("a secret is on %s", where)
					}
				}
			}
		})
	}
}

// serveHTTP2 answers as ECR does at an endpoint of the operator's that speaks
// HTTP/2, and returns which session's token it was shown by that.
func (n *node) serveHTTP2(host, password string) (shown func() string) {
	n.t.Helper()
	at := netip.MustParseAddr("192.0.2.20")
	if err := n.cloud.AddAddress(at); err != nil {
		n.t.Fatal(err)
	}
	if err := n.cloud.AddHosts(at, host); err != nil {
		n.t.Fatal(err)
	}
	certificate, err := n.cloud.Authority.Certificate(host)
	if err != nil {
		n.t.Fatal(err)
	}
	tokens := make(chan string, 16)
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	server := &http.Server{
		Protocols: &protocols,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{*certificate}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor == 2 {
				tokens <- r.Header.Get("X-Amz-Security-Token")
			}
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			fmt.Fprintf(w, `{"authorizationData":[{"authorizationToken":%q,"expiresAt":%d}]}`,
				base64.StdEncoding.EncodeToString([]byte("AWS:"+password)), time.Now().Add(12*time.Hour).Unix())
		}),
	}
	listener, err := net.Listen("tcp", netip.AddrPortFrom(at, 443).String())
	if err != nil {
		n.t.Fatal(err)
	}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	n.t.Cleanup(func() { _ = server.Close() })
	return func() string {
		select {
		case token := <-tokens:
			return token
		default:
			return ""
		}
	}
}
