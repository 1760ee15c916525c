package cluster

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"regcred/shared/credential"
)

// kubeconfig is what a kubeconfig says of the server and the caller. Fields
// that are not known are passed over, as kubectl does.
type kubeconfig struct {
	CurrentContext string `json:"current-context"`
	Contexts       []struct {
		Name    string      `json:"name"`
		Context contextInfo `json:"context"`
	} `json:"contexts"`
	Clusters []struct {
		Name    string      `json:"name"`
		Cluster clusterInfo `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		Name string   `json:"name"`
		User userInfo `json:"user"`
	} `json:"users"`
}

type contextInfo struct {
	Cluster   string `json:"cluster"`
	User      string `json:"user"`
	Namespace string `json:"namespace"`
}

type clusterInfo struct {
	Server        string `json:"server"`
	TLSServerName string `json:"tls-server-name"`
	Insecure      bool   `json:"insecure-skip-tls-verify"`
	CAFile        string `json:"certificate-authority"`
	CAData        []byte `json:"certificate-authority-data"`
	ProxyURL      string `json:"proxy-url"`
}

type userInfo struct {
	CertFile     string              `json:"client-certificate"`
	CertData     []byte              `json:"client-certificate-data"`
	KeyFile      string              `json:"client-key"`
	KeyData      []byte              `json:"client-key-data"`
	Token        string              `json:"token"`
	TokenFile    string              `json:"tokenFile"`
	Username     string              `json:"username"`
	Password     string              `json:"password"`
	As           string              `json:"as"`
	AsUID        string              `json:"as-uid"`
	AsGroups     []string            `json:"as-groups"`
	AsUserExtra  map[string][]string `json:"as-user-extra"`
	Exec         *execInfo           `json:"exec"`
	AuthProvider *struct {
		Name string `json:"name"`
	} `json:"auth-provider"`
}

type execInfo struct {
	APIVersion string   `json:"apiVersion"`
	Command    string   `json:"command"`
	Args       []string `json:"args"`
	Env        []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"env"`
	InstallHint        string `json:"installHint"`
	ProvideClusterInfo bool   `json:"provideClusterInfo"`
}

// target is what the current context of a kubeconfig chooses.
type target struct {
	name      string // the kubeconfig, for messages
	cluster   clusterInfo
	user      userInfo
	namespace string
}

// parse reads a kubeconfig. No error holds anything of its text, which has
// keys and tokens in it. Files that it names are relative to its directory.
func parse(name string, text []byte) (*target, error) {
	var config kubeconfig
	document, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, errors.New("neither YAML nor JSON")
	}
	if err := json.UnmarshalCaseSensitivePreserveInts(document, &config); err != nil {
		return nil, errors.New("a field has another type than a kubeconfig's")
	}
	chosen := config.CurrentContext
	if chosen == "" {
		return nil, errors.New("no current-context: set one with kubectl config use-context")
	}
	t := &target{name: name}
	index := slices.IndexFunc(config.Contexts, func(c struct {
		Name    string      `json:"name"`
		Context contextInfo `json:"context"`
	}) bool {
		return c.Name == chosen
	})
	if index < 0 {
		return nil, fmt.Errorf("the current-context %q is not among the contexts", chosen)
	}
	selected := config.Contexts[index].Context
	t.namespace = selected.Namespace
	found := false
	for _, cluster := range config.Clusters {
		if cluster.Name == selected.Cluster {
			t.cluster, found = cluster.Cluster, true
			break
		}
	}
	if !found {
		return nil, fmt.Errorf("the cluster %q of the context %q is not among the clusters", selected.Cluster, chosen)
	}
	found = selected.User == ""
	for _, user := range config.Users {
		if user.Name == selected.User {
			t.user, found = user.User, true
			break
		}
	}
	if !found {
		return nil, fmt.Errorf("the user %q of the context %q is not among the users", selected.User, chosen)
	}
	if t.user.AuthProvider != nil {
		return nil, fmt.Errorf("auth-provider %s, which Kubernetes has removed: use an exec plugin", t.user.AuthProvider.Name)
	}
	dir := filepath.Dir(name)
	for _, path := range []*string{&t.cluster.CAFile, &t.user.CertFile, &t.user.KeyFile, &t.user.TokenFile} {
		*path = beside(dir, *path)
	}
	if e := t.user.Exec; e != nil && strings.Contains(e.Command, "/") {
		e.Command = beside(dir, e.Command)
	}
	credential.NewSecret(t.user.Token) // from here on it is known, and in no message
	credential.NewSecret(t.user.Password)
	return t, nil
}

func beside(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
