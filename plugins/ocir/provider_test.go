package ocir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
	"regcred/shared/plugin"
)

func TestWhoAnswers(t *testing.T) {
	pod := plugintest.Pod(t, "shop", "u1", "p1")
	workload := []string{"--cluster-host=10.0.0.1"}
	domain := []string{"--identity-domain=https://idcs-1.identity.oraclecloud.com", "--resource-type=k8sworkload"}
	as := func(identity string) map[string]string { return map[string]string{identityAnnotation: identity} }
	const asNode = " as the node's instance principal"
	for name, tc := range map[string]struct {
		args        []string
		image       string
		pod         bool
		annotations map[string]string
		want, err   string // the source, the error, or neither for an empty answer
	}{
		"the node":                       {nil, "iad.ocir.io/ns/app", false, nil, "iad.ocir.io" + asNode, ""},
		"in capitals":                    {nil, "IAD.OCIR.IO/ns/app", false, nil, "iad.ocir.io" + asNode, ""},
		"verified":                       {[]string{"--verify"}, "iad.ocir.io/ns/app", false, nil, "iad.ocir.io" + asNode + ", verified for ns/app", ""},
		"a look-alike":                   {nil, "iad.ocir.io.evil.com/ns/app", false, nil, "", ""},
		"perhaps of the node's realm":    {nil, dedicatedHost + "/ns/app", false, nil, dedicatedHost + asNode, ""},
		"nobody knows":                   {[]string{"--auth-method=user_principal"}, dedicatedHost + "/ns/app", false, nil, "", ""},
		"the operator knows":             {[]string{"--auth-method=user_principal", "--realm-domain=oraclecloud77.com"}, dedicatedHost + "/ns/app", false, nil, dedicatedHost + " as profile DEFAULT in /root/.oci/config", ""},
		"one more host":                  {[]string{"--registry=us.ocir.io,iad.ocir.io:5000"}, "us.ocir.io/ns/app", false, nil, "us.ocir.io" + asNode, ""},
		"one more host with a port":      {[]string{"--registry=us.ocir.io,iad.ocir.io:5000"}, "iad.ocir.io:5000/ns/app", false, nil, "iad.ocir.io:5000" + asNode, ""},
		"OKE's own images":               {nil, "us-ashburn-1.ocir.io/axoxdievda5j/oke-public-flannel", false, nil, "OKE's public images without a credential", ""},
		"OKE's own images for a pod":     {nil, "iad.ocir.io/id9y6mi8tcky/oke-public-coredns", true, nil, "OKE's public images without a credential", ""},
		"only like OKE's own":            {nil, "iad.ocir.io/ns/my-oke-public-coredns", false, nil, "iad.ocir.io" + asNode, ""},
		"a pod without an identity":      {nil, "iad.ocir.io/ns/app", true, nil, "", "service account prod/shop names no identity to pull with: annotate it with oci.oraclecloud.com/image-pull-identity"},
		"a pod that falls back":          {[]string{"--node-fallback=prod"}, "iad.ocir.io/ns/app", true, nil, "iad.ocir.io" + asNode, ""},
		"a pod of the cluster's":         {append(workload, "--pod-identity=workload"), "iad.ocir.io/ns/app", true, nil, "iad.ocir.io as the workload identity of service account prod/shop", ""},
		"a pod that says so":             {workload, "iad.ocir.io/ns/app", true, as("workload"), "iad.ocir.io as the workload identity of service account prod/shop", ""},
		"a pod of the domain's":          {append(domain, "--pod-identity=exchange"), "iad.ocir.io/ns/app", true, nil, "iad.ocir.io as service account prod/shop by https://idcs-1.identity.oraclecloud.com", ""},
		"a pod that cannot":              {append(domain, "--node-fallback=all"), "iad.ocir.io/ns/app", true, as("workload"), "", "annotation oci.oraclecloud.com/image-pull-identity: workload needs --cluster-host"},
		"a pod of nobody's":              {[]string{"--node-fallback=all"}, "iad.ocir.io/ns/app", true, as("node"), "", `"node" is neither workload nor exchange`},
		"a pod, perhaps of node's realm": {append(workload, "--pod-identity=workload"), dedicatedHost + "/ns/app", true, nil, dedicatedHost + " as the workload identity of service account prod/shop", ""},
	} {
		t.Run(name, func(t *testing.T) {
			request := node(t, tc.image)
			request.Annotations = tc.annotations
			if tc.pod {
				request.Pod = pod
			}
			answer, err := settled(t, nil, nil, tc.args...).Answer(request)
			switch {
			case tc.err != "":
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %v", err)
				}
			case err != nil || (answer.Source == nil) != (tc.want == ""):
				t.Errorf("got %+v, %v", answer, err)
			case answer.Source != nil && answer.Source.String() != tc.want:
				t.Errorf("got %s", answer.Source)
			}
		})
	}
}

// Whatever makes a difference to who gets what keeps credentials apart.
func TestKeys(t *testing.T) {
	pods := []string{"--cluster-host=10.0.0.1", "--identity-domain=https://d.identity.oraclecloud.com", "--resource-type=k8sworkload"}
	seen := map[string]string{}
	for name, tc := range map[string]struct {
		args, env   []string
		image, pod  string
		annotations map[string]string
	}{
		"the node":                 {nil, nil, "iad.ocir.io/ns/app", "", nil},
		"another host":             {nil, nil, "us-ashburn-1.ocir.io/ns/app", "", nil},
		"verified":                 {[]string{"--verify"}, nil, "iad.ocir.io/ns/app", "", nil},
		"another repository":       {[]string{"--verify"}, nil, "iad.ocir.io/ns/other", "", nil},
		"another path":             {[]string{"--token-path=/token"}, nil, "iad.ocir.io/ns/app", "", nil},
		"another metadata server":  {[]string{"--metadata-url=http://[fd00:c1::a9fe:a9fe]/opc/v2/"}, nil, "iad.ocir.io/ns/app", "", nil},
		"another federation":       {[]string{"--federation-url=https://auth.example.com"}, nil, "iad.ocir.io/ns/app", "", nil},
		"a federation by its host": {[]string{"--federation-url=auth.example.org"}, nil, "iad.ocir.io/ns/app", "", nil},
		"a profile":                {[]string{"--auth-method=user_principal"}, nil, "iad.ocir.io/ns/app", "", nil},
		"another profile":          {[]string{"--auth-method=user_principal", "--oci-profile=P"}, nil, "iad.ocir.io/ns/app", "", nil},
		"another file":             {[]string{"--auth-method=user_principal", "--oci-config=/etc/oci"}, nil, "iad.ocir.io/ns/app", "", nil},
		"a resource":               {[]string{"--auth-method=resource_principal"}, []string{resourceToken + "=a"}, "iad.ocir.io/ns/app", "", nil},
		"another resource":         {[]string{"--auth-method=resource_principal"}, []string{resourceToken + "=b"}, "iad.ocir.io/ns/app", "", nil},
		"a pod's workload":         {append(pods, "--pod-identity=workload"), nil, "iad.ocir.io/ns/app", "shop", nil},
		"another pod's workload":   {append(pods, "--pod-identity=workload"), nil, "iad.ocir.io/ns/app", "jobs", nil},
		"a pod's exchange":         {append(pods, "--pod-identity=exchange"), nil, "iad.ocir.io/ns/app", "shop", nil},
		"another pod's exchange":   {append(pods, "--pod-identity=exchange"), nil, "iad.ocir.io/ns/app", "jobs", nil},
		"another resource type":    {append(pods, "--pod-identity=exchange"), nil, "iad.ocir.io/ns/app", "shop", map[string]string{resourceAnnotation: "other"}},
		"a user's token":           {append(pods, "--pod-identity=exchange", "--token-type=upst"), nil, "iad.ocir.io/ns/app", "shop", nil},
	} {
		request := node(t, tc.image)
		request.Annotations = tc.annotations
		if tc.pod != "" {
			request.Pod = plugintest.Pod(t, tc.pod, "uid-"+tc.pod, "p1")
		}
		answer, err := settled(t, nil, tc.env, tc.args...).Answer(request)
		if err != nil {
			t.Fatal(name, err)
		}
		key := strings.Join(answer.Source.Key(), "|")
		if other, twice := seen[key]; twice {
			t.Errorf("%s has the key of %s: %s", name, other, key)
		}
		seen[key] = name
	}
}

func TestSettingsThatAreWrong(t *testing.T) {
	for args, want := range map[string]string{
		"--auth-method=x":                                       `authMethod: "x" is none of`,
		"--pod-identity=x":                                      `podIdentity: "x" is neither workload nor exchange`,
		"--pod-identity=node":                                   "podIdentity",
		"--pod-identity=exchange":                               "podIdentity: exchange needs --identity-domain",
		"--pod-identity=workload":                               "podIdentity: workload needs --cluster-host",
		"--cluster-host=https://x":                              "clusterHost",
		"--cluster-host=x:6443":                                 "clusterHost",
		"--cluster-host=x --cluster-ca-file=ca.crt":             "clusterCAFile: not an absolute path",
		"--identity-domain=http://x":                            "identityDomain: not a URL such as https://",
		"--identity-domain=https://u:p@x":                       "identityDomain: not a URL",
		"--identity-domain=https://x/path":                      "identityDomain: a path in it",
		"--identity-domain=https://x":                           "resourceType: needed",
		"--identity-domain=https://x --token-type=y":            "tokenType",
		"--registry=https://x":                                  "registries",
		"--realm-domain=com":                                    "realmDomains",
		"--realm-domain=x.com:443":                              "realmDomains",
		"--token-path=token":                                    "tokenPath",
		"--token-path=/a?b":                                     "tokenPath",
		"--metadata-url=169.254.169.254":                        "metadataURL",
		"--federation-url=ftp://auth.example.com":               "federationURL: not a URL such as https://",
		"--federation-url=bot@auth.example.com":                 "federationURL: not a URL such as https://",
		"--federation-url=https://auth.example.com/v1/x509":     "federationURL: a path in it",
		"--verify=perhaps":                                      `"perhaps" is none of true, false, enabled, disabled`,
		"--auth-method=user_principal --oci-config=.oci/config": "ociConfig: not an absolute path",
	} {
		if _, _, err := Plugin().Load(strings.Fields(args), plugintest.Getenv()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
	if _, _, err := Plugin().Load([]string{"--auth-method=resource_principal"}, plugintest.Getenv(resourceVersion+"=3.0")); err == nil || !strings.Contains(err.Error(), "only version 2.2") {
		t.Errorf("got %v", err)
	}
}

func TestALoginIsThereOnce(t *testing.T) {
	s := defaults()
	s.Logins = map[string]Login{"fra.ocir.io": {"ns/a", "/a"}, "FRA.ocir.io": {"ns/b", "/b"}}
	if _, err := s.Provider(plugin.Run{Getenv: plugintest.Getenv()}); err == nil || !strings.Contains(err.Error(), `logins["fra.ocir.io"]: there twice`) {
		t.Errorf("got %v", err)
	}
}

func TestDropIn(t *testing.T) {
	dir := t.TempDir()
	file := func(text string) string {
		path := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tc := range map[string]struct {
		env    []string
		config string
		want   string // the source
		err    string
	}{
		"nothing":        {nil, "", "iad.ocir.io as the node's instance principal", ""},
		"its sample":     {[]string{"REGISTRY_TOKEN_PATH=/20180419/docker/token", "DEFAULT_USER=BEARER_TOKEN", "REGISTRY_PROTOCOL=https", "OCIR_AUTH_METHOD=INSTANCE_PRINCIPAL", "VERIFY_TOKEN_AUTH=false"}, "", "iad.ocir.io as the node's instance principal", ""},
		"a user":         {[]string{"OCIR_AUTH_METHOD=USER_PRINCIPAL", "HOME=/home/u"}, "", "iad.ocir.io as profile DEFAULT in /home/u/.oci/config", ""},
		"validation":     {[]string{"TOKEN_VALIDATION=enabled"}, "", "iad.ocir.io as the node's instance principal, verified for ns/app", ""},
		"in capitals":    {[]string{"TOKEN_VALIDATION=ENABLED", "REGISTRY_PROTOCOL=HTTPS"}, "", "iad.ocir.io as the node's instance principal, verified for ns/app", ""},
		"its file":       {nil, "registryTokenPath: /20180419/docker/token\ndefaultUser: BEARER_TOKEN\nregistryProtocol: https\nocirAuthMethod: USER_PRINCIPAL\ntokenValidation: enabled\n", "iad.ocir.io as profile DEFAULT in /root/.oci/config, verified for ns/app", ""},
		"in the clear":   {[]string{"REGISTRY_PROTOCOL=http"}, "", "", "not https"},
		"a file of that": {nil, "registryProtocol: http\n", "", "not https"},
		"an odd file":    {nil, "registryTokenPath: /t\nother: x\n", "", `unknown field "other"`},
		"an odd switch":  {nil, "tokenValidation: perhaps\n", "", "tokenValidation"},
	} {
		t.Run(name, func(t *testing.T) {
			var args []string
			if tc.config != "" {
				args = []string{"-config", file(tc.config)}
			}
			cloud, _, err := Plugin().Load(args, plugintest.Getenv(tc.env...))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			answer, err := cloud.Answer(node(t, "iad.ocir.io/ns/app"))
			if err != nil || answer.Source.String() != tc.want || answer.Source.(*pull).token.path != "/20180419/docker/token" {
				t.Errorf("got %v, %v", answer.Source, err)
			}
		})
	}
}
