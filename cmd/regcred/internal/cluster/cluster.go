// Package cluster asks a cluster's API server the few things that the tool
// needs to know, as a kubeconfig says: service accounts and their tokens, pods,
// secrets, and what the caller may do.
//
// It is net/http and no client-go, which alone is larger than the tool may be.
package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/file"
	"regcred/shared/redact"
)

const (
	// maxFile and maxAnswer bound what is read. A secret has up to 1 MiB, which
	// base64 makes longer; a pod is smaller.
	maxFile   = 4 << 20
	maxAnswer = 8 << 20

	// callTimeout bounds one request, with its connection.
	callTimeout = 15 * time.Second
)

// Options say how the API server is found.
type Options struct {
	// Kubeconfig is a file. Empty means the one that $KUBECONFIG names, or,
	// within a pod, the pod's own service account.
	Kubeconfig string

	// Path says where a path that a kubeconfig names is for this process. Nil
	// means where it says.
	Path func(string) string

	// Getenv looks up an environment variable.
	Getenv func(string) string
}

// Client asks an API server.
type Client struct {
	// Namespace is the one that the kubeconfig chooses. Empty means default.
	Namespace string

	// Warnings are what is unsafe about the connection. Each is a sentence.
	Warnings []string

	name   string // the kubeconfig, for messages
	server string
	http   *http.Client
	header http.Header
	token  func(context.Context) (credential.Secret, error)
}

// errNoCluster is the error of a machine without a way to an API server.
var errNoCluster = errors.New("no way to the API server: give --kubeconfig, such as the kubelet's own (/etc/kubernetes/kubelet.conf, /var/lib/kubelet/kubeconfig)")

// New returns a client. It reads the kubeconfig and what it names, and runs its
// exec plugin if it has one; it does not ask the server.
func New(ctx context.Context, o Options) (*Client, error) {
	if o.Path == nil {
		o.Path = func(path string) string { return path }
	}
	name := o.Kubeconfig
	if name == "" {
		name, _, _ = strings.Cut(o.Getenv("KUBECONFIG"), string(os.PathListSeparator))
	}
	if name == "" {
		return inPod(o)
	}
	text, err := readFile(o.Path(name))
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", name, err)
	}
	target, err := parse(name, text)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", name, err)
	}
	client, err := target.client(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", name, err)
	}
	return client, nil
}

// podDir is where a pod finds its service account.
const podDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// inPod returns the client of a pod.
func inPod(o Options) (*Client, error) {
	host, port := o.Getenv("KUBERNETES_SERVICE_HOST"), o.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errNoCluster
	}
	namespace, _ := readFile(podDir + "/namespace")
	t := &target{
		name:      "the pod's service account",
		cluster:   clusterInfo{Server: "https://" + net.JoinHostPort(host, port), CAFile: podDir + "/ca.crt"},
		user:      userInfo{TokenFile: podDir + "/token"},
		namespace: strings.TrimSpace(string(namespace)),
	}
	o.Path = func(path string) string { return path }
	client, err := t.client(context.Background(), o)
	if err != nil {
		return nil, fmt.Errorf("service account of this pod: %w", err)
	}
	return client, nil
}

// client makes the client of a kubeconfig's choice.
func (t *target) client(ctx context.Context, o Options) (*Client, error) {
	server, err := url.Parse(t.cluster.Server)
	if err != nil || server.Host == "" || server.Scheme != "https" && server.Scheme != "http" {
		return nil, errors.New("the cluster's server is not an http or https URL")
	}
	c := &Client{Namespace: t.namespace, name: t.name, server: strings.TrimRight(server.String(), "/"), header: http.Header{}}
	if server.Scheme == "http" {
		c.Warnings = append(c.Warnings, "the API server is asked without TLS: everybody on the way can read the tokens")
	}
	config, err := t.cluster.tls(o)
	if err != nil {
		return nil, err
	}
	if config.InsecureSkipVerify {
		c.Warnings = append(c.Warnings, "the API server's certificate is not verified (insecure-skip-tls-verify): what answers may be anybody")
	}
	if err := t.user.authenticate(ctx, c, config, t.cluster, o); err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		TLSClientConfig:        config,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		Proxy:                  http.ProxyFromEnvironment,
	}
	if t.cluster.ProxyURL != "" {
		proxy, err := url.Parse(t.cluster.ProxyURL)
		if err != nil || proxy.Host == "" {
			return nil, errors.New("the cluster's proxy-url is not a URL")
		}
		transport.Proxy = http.ProxyURL(proxy)
	}
	c.http = &http.Client{Transport: bounded{transport}}
	return c, nil
}

// tls makes the TLS configuration by which the server is verified.
func (c clusterInfo) tls(o Options) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.TLSServerName, InsecureSkipVerify: c.Insecure} //nolint:gosec // As the kubeconfig says; the caller is told.
	bundle := c.CAData
	if len(bundle) == 0 && c.CAFile != "" {
		var err error
		if bundle, err = readFile(o.Path(c.CAFile)); err != nil {
			return nil, fmt.Errorf("certificate-authority %s: %w", c.CAFile, err)
		}
	}
	switch {
	case c.Insecure && len(bundle) > 0:
		return nil, errors.New("certificate-authority and insecure-skip-tls-verify exclude each other")
	case len(bundle) > 0:
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(bundle) {
			return nil, errors.New("no PEM certificate in the certificate-authority")
		}
	}
	return config, nil
}

// bounded bounds the answers of a transport.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{&limit{response.Body, maxAnswer}, response.Body}
	return response, nil
}

// limit is an error where a reader has more than n bytes.
type limit struct {
	r io.Reader
	n int64
}

func (l *limit) Read(p []byte) (int, error) {
	if int64(len(p)) > l.n+1 {
		p = p[:l.n+1]
	}
	n, err := l.r.Read(p)
	if l.n -= int64(n); l.n < 0 {
		return 0, fmt.Errorf("more than %d MiB", maxAnswer>>20)
	}
	return n, err
}

// Error is what an API server says instead of what it was asked for.
type Error struct {
	// What was asked for, such as "get pod team/app".
	What string

	Status  int
	Reason  string // NotFound, Forbidden
	Message string
	Advice  string

	server string
	caller string
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %s", e.What, e.Message)
	if e.Advice != "" {
		text += ": " + e.Advice
	}
	return fmt.Sprintf("%s [API server %s: status %d; as %s]", text, e.server, e.Status, e.caller)
}

// IsNotFound reports whether the API server has no such object.
func IsNotFound(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusNotFound
}

// IsForbidden reports whether the caller may not ask for it.
func IsForbidden(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusForbidden
}

// Call sends a request of any kind. The path begins with /api; a body is sent as
// JSON unless the method is PATCH, which is a merge patch. What says what is
// asked for, in messages: "get pod team/app". Errors are one line without
// secrets; what the server refuses is an *Error.
func (c *Client) Call(ctx context.Context, what, method, path string, body, into any) error {
	reply, err := c.send(ctx, what, method, path, body)
	if err != nil || into == nil {
		return err
	}
	if err := reply.Decode(into); err != nil {
		return fmt.Errorf("%s: %w [API server %s]", what, err, reply.Host)
	}
	return nil
}

// Get gets what is at a path, in whatever form, with when it came and what the
// time was there. Errors are as Call's.
func (c *Client) Get(ctx context.Context, what, path string) (cloudhttp.Reply, error) {
	return c.send(ctx, what, http.MethodGet, path, nil)
}

func (c *Client) send(ctx context.Context, what, method, path string, body any) (cloudhttp.Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	call := cloudhttp.Call{Stage: what, URL: c.server + path, Method: method, Header: c.header.Clone()}
	call.Header.Set("Accept", "application/json")
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return cloudhttp.Reply{}, fmt.Errorf("%s: %w", what, err)
		}
		call.Body, call.ContentType = text, "application/json"
		if method == http.MethodPatch {
			call.ContentType = "application/merge-patch+json"
		}
	}
	if c.token != nil {
		token, err := c.token(ctx)
		if err != nil {
			return cloudhttp.Reply{}, fmt.Errorf("%s: %w", what, err)
		}
		call.Bearer = token
	}
	reply := call.Do(ctx, c.http)
	return reply, c.refusal(what, reply)
}

// refusal is the error of a reply that is no success.
func (c *Client) refusal(what string, reply cloudhttp.Reply) error {
	service := cloudhttp.Service{
		Name:   "the API server",
		CAFlag: "the kubeconfig's certificate-authority",
		Own:    func(r cloudhttp.Reply) bool { return bytes.Contains(r.Body, []byte(`"Status"`)) },
	}
	if reply.OK() {
		return nil
	}
	var status struct {
		Kind    string `json:"kind"`
		Reason  string `json:"reason"`
		Message string `json:"message"`
	}
	if reply.Err == nil && json.Unmarshal(reply.Body, &status) == nil && status.Kind == "Status" {
		return &Error{
			What: what, Status: reply.Status, Reason: status.Reason,
			Message: redact.Line(status.Message, credential.Known()...),
			Advice:  c.advice(reply.Status), server: reply.Host, caller: c.name,
		}
	}
	diagnosis, ok := reply.Diagnose(service)
	if !ok {
		diagnosis.Problem = fmt.Sprintf("status %d without a reason", reply.Status)
	}
	return fmt.Errorf("%s: %w", what, reply.Failure(diagnosis, cloudhttp.Said{}, c.name))
}

// advice says what to do about a status.
func (c *Client) advice(status int) string {
	if status == http.StatusUnauthorized {
		return "the certificate or token of " + c.name + " is not accepted: check that it has not expired, or give another --kubeconfig"
	}
	return ""
}

// readFile reads a file of a kubeconfig, whoever owns it: kubectl does so too.
func readFile(path string) ([]byte, error) {
	return file.ReadAny(path, maxFile)
}

// segment makes a name part of a path.
func segment(name string) string { return url.PathEscape(name) }
