package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"regcred/cmd/regcred/internal/cluster"
	"regcred/cmd/regcred/internal/node"
	"regcred/cmd/regcred/internal/replay"
	"regcred/shared/credential"
	"regcred/shared/file"
	"regcred/shared/kubelet"
	"regcred/shared/redact"
	"regcred/shared/serviceaccount"
)

// podFlags are the flags that say on whose behalf an image is pulled.
type podFlags struct {
	pod         string
	account     string
	token       string
	annotations []string
	secrets     []string
}

// subjectFlags are the flags of the verbs that pull as a pod would: on whose
// behalf, and from whom.
type subjectFlags struct {
	node nodeFlags
	podFlags

	provider  string
	fresh     bool
	pull      bool
	platform  string
	hostsDirs []string
}

func (f *podFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.pod, "pod", "", "as the `NAMESPACE/NAME` pod: its service account, pull secrets and images")
	flags.StringVar(&f.account, "service-account", "", "as a pod of the `NAMESPACE/NAME` service account, with its annotations and pull secrets")
	flags.StringVar(&f.token, "service-account-token", "", "a `file` with the service account's token, in place of one that the API server is asked for")
	flags.StringArrayVar(&f.annotations, "annotation", nil, "`KEY=VALUE` that the service account has; may be given more than once")
	flags.StringArrayVar(&f.secrets, "pull-secret", nil, "`NAMESPACE/NAME` of a pull secret, or a file: a Secret, or a docker config.json; may be given more than once")
}

func (f *subjectFlags) add(flags *pflag.FlagSet) {
	flags.BoolVar(&f.pull, "pull", false, "ask the registry, too, whether it takes each credential for the image; nothing is pulled")
	flags.BoolVar(&f.fresh, "fresh", false, "plugins of this suite ask their clouds, and use neither what they have in their cache nor the failures there")
	f.podFlags.add(flags)
	flags.StringVar(&f.provider, "provider", "", "the `name` of the only provider to ask")
	flags.StringVar(&f.platform, "platform", "", "`os/arch` that the image has to be for, with --pull; this node's")
	flags.StringArrayVar(&f.hostsDirs, "hosts-dir", nil, "`directory` of containerd's registry configuration (hosts.toml), with --pull; those that are usual")
	f.node.add(flags)
}

// subject is what is to be pulled, and on whose behalf.
type subject struct {
	images  []string
	pod     kubelet.Pod
	secrets []kubelet.Secret

	// object is the pod as the API server has it, if it was asked for one.
	object *cluster.Pod

	// who is the pod or service account, for people. Empty is a pod without.
	who   string
	notes []string
}

// subject finds out on whose behalf the flags are.
func (a *app) subject(ctx context.Context, n *node.Node, config *kubelet.Config, f *podFlags, images []string) (*subject, error) {
	s := &subject{images: images}
	if f.token != "" && f.pod != "" {
		return nil, usageError(errors.New("--service-account-token and --pod exclude each other: a token is for a service account"))
	}
	if len(f.annotations) > 0 && f.account == "" && f.token == "" {
		return nil, usageError(errors.New("--annotation is of a service account: give --service-account or --service-account-token, too"))
	}
	annotations, err := pairs(f.annotations)
	if err != nil {
		return nil, err
	}
	api := &lazyCluster{app: a, node: n}
	namespace, account, bound := "", "", cluster.Meta{}
	var secretNames []string
	if f.pod != "" {
		pod, err := api.pod(ctx, f.pod)
		if err != nil {
			return nil, err
		}
		s.who, s.object, bound = "pod "+f.pod, &pod, pod.Meta
		namespace, account = pod.Meta.Namespace, pod.Spec.ServiceAccountName
		if len(images) == 0 {
			s.images = pod.Images()
		}
		if pod.Spec.NodeName != n.Name {
			s.notes = append(s.notes, fmt.Sprintf("pod %s is on node %q, and this is %q: the API server gives a node the tokens of its own pods alone", f.pod, pod.Spec.NodeName, n.Name))
		}
		for _, secret := range pod.Spec.ImagePullSecrets {
			secretNames = append(secretNames, namespace+"/"+secret.Name)
		}
	}
	if f.account != "" {
		if namespace, account, err = split("--service-account", f.account); err != nil {
			return nil, err
		}
	}
	switch {
	case f.token != "":
		if err := s.useToken(f.token, f.account, annotations); err != nil {
			return nil, err
		}
	case account != "" && (f.account != "" || wantsTokens(config)):
		found, err := api.account(ctx, namespace, account)
		if err != nil {
			return nil, err
		}
		maps.Copy(annotations, missing(found.Meta.Annotations, annotations))
		s.pod = kubelet.Pod{
			ServiceAccount: &kubelet.ServiceAccount{Namespace: namespace, Name: account, UID: found.Meta.UID, Annotations: annotations},
			Token: func(ctx context.Context, audience string) (credential.Secret, error) {
				return api.token(ctx, cluster.TokenRequest{
					Namespace: namespace, ServiceAccount: account, Audience: audience, PodName: bound.Name, PodUID: bound.UID,
				})
			},
		}
		// A pod without pull secrets of its own has those of its account.
		if f.pod == "" {
			for _, secret := range found.ImagePullSecrets {
				secretNames = append(secretNames, namespace+"/"+secret.Name)
			}
		}
	}
	if s.who == "" && s.pod.ServiceAccount != nil {
		s.who = "service account " + s.pod.ServiceAccount.String()
	}
	for _, name := range secretNames {
		secret, err := api.secret(ctx, name)
		switch {
		case cluster.IsNotFound(err):
			s.notes = append(s.notes, fmt.Sprintf("pull secret %s does not exist: the kubelet passes over it", name))
		case err != nil:
			return nil, fmt.Errorf("%w: give --kubeconfig of somebody who may read it, or the secret with --pull-secret FILE", err)
		default:
			s.secrets = append(s.secrets, secret)
		}
	}
	for _, given := range f.secrets {
		secret, err := api.secretOrFile(ctx, given)
		if err != nil {
			return nil, err
		}
		s.secrets = append(s.secrets, secret)
	}
	s.notes = append(s.notes, api.warnings...)
	if len(s.images) == 0 {
		return nil, usageError(errors.New("no image: name one as pods do, or give --pod"))
	}
	return s, nil
}

// wantsTokens reports whether a provider wants service account tokens: the
// kubelet asks the API server for none if not.
func wantsTokens(config *kubelet.Config) bool {
	return config != nil && slices.ContainsFunc(config.Providers, func(p kubelet.Provider) bool { return p.Audience() != "" })
}

// missing are the pairs of one map that another does not have.
func missing(from, in map[string]string) map[string]string {
	rest := maps.Clone(from)
	maps.DeleteFunc(rest, func(key, _ string) bool { _, found := in[key]; return found })
	return rest
}

// useToken takes a service account's token from a file.
func (s *subject) useToken(path, account string, annotations map[string]string) error {
	secret, err := file.ReadSecret(path)
	if err != nil {
		return fmt.Errorf("service account token: %w", err)
	}
	token, err := serviceaccount.Parse(secret.Reveal())
	if err != nil {
		return fmt.Errorf("service account token: %w: %s", err, path)
	}
	found := token.Namespace + "/" + token.Name
	if account != "" && account != found {
		return usageError(fmt.Errorf("--service-account %s, and a token of %s", account, found))
	}
	s.pod = kubelet.Pod{
		ServiceAccount: &kubelet.ServiceAccount{Namespace: token.Namespace, Name: token.Name, UID: token.UID, Annotations: annotations},
		Token: func(_ context.Context, audience string) (credential.Secret, error) {
			if !slices.Contains(token.Audiences, audience) {
				return credential.Secret{}, fmt.Errorf("the token of %s is for %q: make one with kubectl create token %s -n %s --audience %s",
					path, token.Audiences, token.Name, token.Namespace, audience)
			}
			return secret, nil
		},
	}
	return nil
}

// lazyCluster is the API server, connected to when it is first asked.
type lazyCluster struct {
	app      *app
	node     *node.Node
	client   *cluster.Client
	warnings []string
}

func (l *lazyCluster) connect(ctx context.Context) (*cluster.Client, error) {
	if l.client != nil {
		return l.client, nil
	}
	client, err := l.app.apiServer(ctx, l.node)
	if err != nil {
		return nil, err
	}
	l.client, l.warnings = client, client.Warnings
	return client, nil
}

func (l *lazyCluster) pod(ctx context.Context, given string) (cluster.Pod, error) {
	namespace, name, err := split("--pod", given)
	if err != nil {
		return cluster.Pod{}, err
	}
	client, err := l.connect(ctx)
	if err != nil {
		return cluster.Pod{}, err
	}
	return client.Pod(ctx, namespace, name)
}

func (l *lazyCluster) account(ctx context.Context, namespace, name string) (cluster.ServiceAccount, error) {
	client, err := l.connect(ctx)
	if err != nil {
		return cluster.ServiceAccount{}, err
	}
	return client.ServiceAccount(ctx, namespace, name)
}

func (l *lazyCluster) token(ctx context.Context, r cluster.TokenRequest) (credential.Secret, error) {
	client, err := l.connect(ctx)
	if err != nil {
		return credential.Secret{}, err
	}
	token, _, err := client.Token(ctx, r)
	return token, err
}

func (l *lazyCluster) secret(ctx context.Context, given string) (kubelet.Secret, error) {
	namespace, name, err := split("--pull-secret", given)
	if err != nil {
		return kubelet.Secret{}, err
	}
	client, err := l.connect(ctx)
	if err != nil {
		return kubelet.Secret{}, err
	}
	secret, err := client.Secret(ctx, namespace, name)
	return kubelet.Secret{Namespace: namespace, Name: name, UID: secret.Meta.UID, Type: secret.Type, Data: secret.Data}, err
}

// secretOrFile reads a pull secret from a file if there is one of the name.
func (l *lazyCluster) secretOrFile(ctx context.Context, given string) (kubelet.Secret, error) {
	text, err := file.Read(given)
	isPath := strings.HasPrefix(given, "/") || strings.HasPrefix(given, ".") || strings.Count(given, "/") != 1
	switch {
	case err == nil:
		secret, err := secretFrom(given, text)
		if err != nil {
			return kubelet.Secret{}, fmt.Errorf("--pull-secret %s: %w", given, err)
		}
		return secret, nil
	case isPath || !errors.Is(err, fs.ErrNotExist):
		return kubelet.Secret{}, fmt.Errorf("--pull-secret %s: %w", given, err)
	}
	secret, err := l.secret(ctx, given)
	if cluster.IsForbidden(err) {
		err = fmt.Errorf("%w: give --kubeconfig of somebody who may read it, or a file", err)
	}
	return secret, err
}

// secretFrom reads a Secret as kubectl prints it, or docker configuration, which
// is what is in one.
func secretFrom(name string, text []byte) (kubelet.Secret, error) {
	var object struct {
		Kind     string            `json:"kind"`
		Meta     cluster.Meta      `json:"metadata"`
		Type     string            `json:"type"`
		Data     map[string][]byte `json:"data"`
		Text     map[string]string `json:"stringData"`
		Auths    any               `json:"auths"`
		Contents []any             `json:"items"`
	}
	if yaml.Unmarshal(text, &object) != nil {
		return kubelet.Secret{}, errors.New("neither a Secret nor a docker configuration")
	}
	switch {
	case object.Kind == "Secret":
		data := object.Data
		if data == nil {
			data = map[string][]byte{}
		}
		for key, value := range object.Text {
			data[key] = []byte(value)
		}
		if object.Meta.Namespace == "" {
			object.Meta.Namespace = "default"
		}
		return kubelet.Secret{Namespace: object.Meta.Namespace, Name: object.Meta.Name, UID: object.Meta.UID, Type: object.Type, Data: data}, nil
	case object.Kind == "" && object.Auths != nil:
		return kubelet.Secret{Namespace: "file", Name: name, Type: "kubernetes.io/dockerconfigjson", Data: map[string][]byte{".dockerconfigjson": text}}, nil
	}
	return kubelet.Secret{}, errors.New("neither a Secret nor a docker configuration")
}

// split splits NAMESPACE/NAME.
func split(flag, given string) (namespace, name string, err error) {
	namespace, name, ok := strings.Cut(given, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return "", "", usageError(fmt.Errorf("%s %q: want NAMESPACE/NAME", flag, given))
	}
	return namespace, name, nil
}

// pairs reads KEY=VALUE.
func pairs(given []string) (map[string]string, error) {
	result := map[string]string{}
	for _, pair := range given {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, usageError(fmt.Errorf("--annotation %q: want KEY=VALUE", redact.Line(pair)))
		}
		result[key] = value
	}
	return result, nil
}

// replayNode is what the node's kubelet has, with notes about it. A kubelet
// without providers has docker configuration, and its pods have pull secrets.
func (a *app) replayNode(n *node.Node, f *subjectFlags) (replay.Node, []string, error) {
	notes := slices.Clone(n.Notes)
	if n.Process != nil && n.ProviderConfig == "" && n.BinDir == "" {
		notes = append(notes, "the kubelet has no credential providers: it runs without --image-credential-provider-config")
		return replay.Node{Files: n.DockerFiles()}, notes, nil
	}
	r, err := a.providers(n)
	if err != nil {
		return replay.Node{}, nil, err
	}
	if n.Process != nil && n.Process.Before(n.Path(n.ProviderConfig)) {
		notes = append(notes, fmt.Sprintf("%s was changed after the kubelet started, which runs with what was in it before", n.ProviderConfig))
	}
	if n.Process == nil {
		notes = append(notes, "the providers have the environment of this shell: no kubelet runs whose it would be")
	}
	if os.Geteuid() > 0 {
		notes = append(notes, "not run as root, as the kubelet is: files and caches may be others")
	}
	if f.provider != "" {
		config := *r.Config
		config.Providers = slices.DeleteFunc(slices.Clone(config.Providers), func(p kubelet.Provider) bool { return p.Name != f.provider })
		if len(config.Providers) == 0 {
			names := make([]string, 0, len(r.Config.Providers))
			for _, p := range r.Config.Providers {
				names = append(names, p.Name)
			}
			return replay.Node{}, nil, usageError(fmt.Errorf("--provider %s: the kubelet has %s", f.provider, strings.Join(names, ", ")))
		}
		r.Config = &config
	}
	return r, notes, nil
}
