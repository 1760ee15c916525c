package cluster

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"regcred/shared/credential"
	"regcred/shared/program"
)

// authenticate gives a client what the user of a kubeconfig proves itself with.
func (u userInfo) authenticate(ctx context.Context, c *Client, config *tls.Config, server clusterInfo, o Options) error {
	if u.As != "" {
		c.header.Set("Impersonate-User", u.As)
		if u.AsUID != "" {
			c.header.Set("Impersonate-Uid", u.AsUID)
		}
		for _, group := range u.AsGroups {
			c.header.Add("Impersonate-Group", group)
		}
		for key, values := range u.AsUserExtra {
			for _, value := range values {
				c.header.Add("Impersonate-Extra-"+key, value)
			}
		}
	}
	certificate, key, err := u.keyPair(o)
	if err != nil {
		return err
	}
	var fromExec execStatus
	if u.Exec != nil {
		if fromExec, err = u.Exec.run(ctx, server, o); err != nil {
			return err
		}
	}
	if fromExec.ClientCertificateData != "" {
		certificate, key = []byte(fromExec.ClientCertificateData), []byte(fromExec.ClientKeyData)
	}
	if len(certificate) > 0 {
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			// What crypto/tls says is of the form of the PEM, and of no key in it.
			return fmt.Errorf("client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	switch {
	case fromExec.Token != "":
		token := credential.NewSecret(fromExec.Token)
		c.token = func(context.Context) (credential.Secret, error) { return token, nil }
	case u.TokenFile != "":
		// It is read for each request: such tokens are replaced.
		path := u.TokenFile
		c.token = func(context.Context) (credential.Secret, error) {
			text, err := readFile(o.Path(path))
			if err != nil {
				return credential.Secret{}, fmt.Errorf("token file: %w: %s", err, path)
			}
			return credential.NewSecret(strings.TrimSpace(string(text))), nil
		}
		if _, err := c.token(ctx); err != nil {
			return err
		}
	case u.Token != "":
		token := credential.NewSecret(u.Token)
		c.token = func(context.Context) (credential.Secret, error) { return token, nil }
	case u.Username != "":
		pair := u.Username + ":" + u.Password
		c.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	return nil
}

// keyPair reads the client certificate and its key. Both may be in one file.
func (u userInfo) keyPair(o Options) (certificate, key []byte, err error) {
	certificate, key = u.CertData, u.KeyData
	if len(certificate) == 0 && u.CertFile != "" {
		if certificate, err = readFile(o.Path(u.CertFile)); err != nil {
			return nil, nil, fmt.Errorf("client-certificate: %w: %s", err, u.CertFile)
		}
	}
	if len(key) == 0 && u.KeyFile != "" {
		if key, err = readFile(o.Path(u.KeyFile)); err != nil {
			return nil, nil, fmt.Errorf("client-key: %w: %s", err, u.KeyFile)
		}
	}
	if len(certificate) > 0 && len(key) == 0 {
		return nil, nil, errors.New("client-certificate without client-key")
	}
	return certificate, key, nil
}

// execStatus is what an exec plugin answers.
type execStatus struct {
	Token                 string `json:"token"`
	ClientCertificateData string `json:"clientCertificateData"`
	ClientKeyData         string `json:"clientKeyData"`
}

// run runs an exec plugin, which proves who the caller is: that of EKS's nodes
// is aws-iam-authenticator.
func (e *execInfo) run(ctx context.Context, server clusterInfo, o Options) (execStatus, error) {
	command := e.Command
	if strings.Contains(command, "/") {
		command = o.Path(command)
	}
	run := program.New(command, e.Args...)
	info, err := e.info(server, o)
	if err != nil {
		return execStatus{}, err
	}
	run.Env = append(os.Environ(), "KUBERNETES_EXEC_INFO="+info)
	for _, variable := range e.Env {
		run.Env = append(run.Env, variable.Name+"="+variable.Value)
	}
	stdout, err := run.Run(ctx)
	if err != nil {
		if e.InstallHint != "" {
			return execStatus{}, fmt.Errorf("exec plugin: %w: %s", err, strings.TrimSpace(e.InstallHint))
		}
		return execStatus{}, fmt.Errorf("exec plugin: %w", err)
	}
	var answer struct {
		Kind       string     `json:"kind"`
		APIVersion string     `json:"apiVersion"`
		Status     execStatus `json:"status"`
	}
	if json.Unmarshal(stdout, &answer) != nil || answer.Kind != "ExecCredential" {
		return execStatus{}, fmt.Errorf("exec plugin %s: what it prints is no ExecCredential", e.Command)
	}
	credential.NewSecret(answer.Status.Token)
	credential.NewSecret(answer.Status.ClientKeyData)
	switch {
	case answer.APIVersion != e.APIVersion:
		return execStatus{}, fmt.Errorf("exec plugin %s: an answer of version %q; want %q, as the kubeconfig says", e.Command, answer.APIVersion, e.APIVersion)
	case answer.Status.Token == "" && answer.Status.ClientCertificateData == "":
		return execStatus{}, fmt.Errorf("exec plugin %s: neither a token nor a certificate in its answer", e.Command)
	}
	return answer.Status, nil
}

// info is what an exec plugin is told.
func (e *execInfo) info(server clusterInfo, o Options) (string, error) {
	switch e.APIVersion {
	case "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1":
	default:
		return "", fmt.Errorf("exec plugin of version %q; want client.authentication.k8s.io/v1 or v1beta1", e.APIVersion)
	}
	spec := map[string]any{"interactive": false}
	if e.ProvideClusterInfo {
		bundle := server.CAData
		if len(bundle) == 0 && server.CAFile != "" {
			var err error
			if bundle, err = readFile(o.Path(server.CAFile)); err != nil {
				return "", fmt.Errorf("certificate-authority %s: %w", server.CAFile, err)
			}
		}
		spec["cluster"] = map[string]any{
			"server":                     server.Server,
			"tls-server-name":            server.TLSServerName,
			"insecure-skip-tls-verify":   server.Insecure,
			"certificate-authority-data": bundle,
			"proxy-url":                  server.ProxyURL,
		}
	}
	text, err := json.Marshal(map[string]any{"apiVersion": e.APIVersion, "kind": "ExecCredential", "spec": spec})
	return string(text), err
}
