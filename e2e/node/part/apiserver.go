package part

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/oidc"
	"regcred/e2e/node/process"
)

// APIServerURL is where the API server listens. Its certificate is for the
// name.
const APIServerURL = "https://localhost:6443"

const (
	adminToken = "token-of-the-administrator"
	nodeToken  = "token-of-the-node"
	users      = adminToken + ",admin,admin,system:masters\n" +
		nodeToken + ",system:node:" + NodeName + ",node,system:nodes\n"
)

// StartAPIServer starts the API server, with everything that stands between a
// node and the tokens of its pods: the node authorizer, RBAC and the
// restriction of nodes. It issues service account tokens in the issuer's name.
// No scheduler runs, and no controller unless StartControllerManager starts some:
// pods name their node, and service accounts are made by hand.
func (p Place) StartAPIServer(ctx context.Context, authority *cloud.Authority, issuer *oidc.Issuer) (*process.Process, *kubernetes.Clientset, error) {
	files, err := p.writeIdentity(authority, issuer)
	if err != nil {
		return nil, nil, fmt.Errorf("kube-apiserver: %w", err)
	}
	started, err := p.start("kube-apiserver", p.Programs.APIServer,
		"--etcd-servers="+etcdURL,
		"--bind-address=127.0.0.1",
		"--advertise-address="+NodeAddress, // it looks for a default route otherwise
		"--secure-port=6443",
		"--cert-dir="+p.path("apiserver-pki"),
		"--tls-cert-file="+files.certificate,
		"--tls-private-key-file="+files.key,
		"--service-account-issuer="+issuer.URL,
		"--service-account-signing-key-file="+files.issuerKey,
		"--service-account-key-file="+files.issuerKey,
		"--service-cluster-ip-range=198.18.0.0/24",
		"--token-auth-file="+files.users,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
	)
	if err != nil {
		return nil, nil, err
	}
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host:            APIServerURL,
		BearerToken:     adminToken,
		TLSClientConfig: rest.TLSClientConfig{CAData: authority.PEM()},
		QPS:             -1, // as fast as they come
	})
	if err != nil {
		return nil, nil, fmt.Errorf("kube-apiserver: %w", err)
	}
	trusting := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: authority.Pool()},
	}}
	defer trusting.CloseIdleConnections()
	return started, client, started.Ready(ctx, answers(trusting, APIServerURL+"/readyz"))
}

// identity is the files that make a server this cluster's.
type identity struct {
	certificate, key, issuerKey, users string
}

func (p Place) writeIdentity(authority *cloud.Authority, issuer *oidc.Issuer) (identity, error) {
	serving, err := authority.Certificate("localhost")
	if err != nil {
		return identity{}, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(serving.PrivateKey)
	if err != nil {
		return identity{}, err
	}
	signing, err := issuer.KeyPEM()
	if err != nil {
		return identity{}, err
	}
	files := identity{p.path("apiserver.crt"), p.path("apiserver.key"), p.path("issuer.key"), p.path("users.csv")}
	for path, content := range map[string][]byte{
		files.certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: serving.Certificate[0]}),
		files.key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		files.issuerKey:   signing,
		files.users:       []byte(users),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return identity{}, err
		}
	}
	return files, nil
}
