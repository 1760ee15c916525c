package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"regcred/cmd/regcred/internal/replay"
	"regcred/cmd/regcred/internal/term"
	"regcred/shared/explain"
	"regcred/shared/kubelet"
	"regcred/shared/redact"
)

func (a *app) secretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "secret",
		GroupID: groupAsk,
		Short:   "Make pull secrets of what the plugins answer, and see what several come to",
		Long: `secret is about Secrets of type kubernetes.io/dockerconfigjson, which pods name under
imagePullSecrets: how to make one of what this node's providers answer, and what the
kubelet makes of several.`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.secretCreate(), a.secretMerge())
	return cmd
}

// secretFlags are what secret create is told.
type secretFlags struct {
	node                     nodeFlags
	name, namespace, account string
	output                   string
	reveal                   bool
}

func (a *app) secretCreate() *cobra.Command {
	var f secretFlags
	cmd := &cobra.Command{
		Use:   "create IMAGE|REGISTRY...",
		Short: "Print a pull secret with what this node's plugins answer",
		Long: `create asks this node's credential providers for images or registries, as the kubelet
does, and prints a Secret of type kubernetes.io/dockerconfigjson with their logins: for
pods on nodes without a provider, or for tools that know nothing but pull secrets.

The logins of clouds end, mostly within hours: the Secret is annotated with the time,
which is told on stderr too. After it, pods that use the Secret are refused.

With --service-account the command is printed that lets an account's new pods use it.`,
		Example: `  regcred secret create 123456789012.dkr.ecr.eu-west-1.amazonaws.com | kubectl apply -f -
  regcred secret create --name pull -n team --service-account app myregistry.azurecr.io us-docker.pkg.dev`,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.createSecret(cmd.Context(), f, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "regcred", "the Secret's `name`")
	flags.StringVarP(&f.namespace, "namespace", "n", "default", "its `namespace`")
	flags.StringVar(&f.account, "service-account", "", "print how the `account` of the namespace gets to use it, too")
	flags.StringVarP(&f.output, "output", "o", "yaml", "`yaml|json`")
	flags.BoolVar(&f.reveal, "show-secrets", false, "print it on a terminal, too")
	f.node.add(flags)
	cmd.ValidArgsFunction = a.completeImages(&f.node)
	completeFlag(cmd, "output", "yaml", "json")
	return cmd
}

// expiresAnnotation is when the first login in a Secret ends.
const expiresAnnotation = "regcred/expires"

// pullSecret is a Secret for kubectl.
type pullSecret struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Annotations map[string]string `json:"annotations,omitempty"`
	} `json:"metadata"`
	Type string            `json:"type"`
	Data map[string][]byte `json:"data"`
}

func newPullSecret(namespace, name string, config []byte) pullSecret {
	secret := pullSecret{APIVersion: "v1", Kind: "Secret", Type: "kubernetes.io/dockerconfigjson", Data: map[string][]byte{".dockerconfigjson": config}}
	secret.Metadata.Namespace, secret.Metadata.Name = namespace, name
	return secret
}

// encode writes the Secret as YAML or JSON.
func (s pullSecret) encode(output string) ([]byte, error) {
	if output == "json" {
		return term.JSON(s)
	}
	return yaml.Marshal(s)
}

func (a *app) createSecret(ctx context.Context, f secretFlags, images []string) error {
	if f.output != "yaml" && f.output != "json" {
		return usageError(fmt.Errorf("--output %q: want yaml or json", f.output))
	}
	if err := a.checkTerminal(f.reveal); err != nil {
		return err
	}
	for flag, name := range map[string]string{"--name": f.name, "--namespace": f.namespace, "--service-account": f.account} {
		if !isObjectName(name) && (name != "" || flag != "--service-account") {
			return usageError(fmt.Errorf("%s %.120q: no name of an object", flag, name))
		}
	}
	n, err := f.node.find()
	if err != nil {
		return err
	}
	providers, err := a.providers(n)
	if err != nil {
		return err
	}
	var logins []issued
	for _, image := range images {
		login, err := a.issue(ctx, providers, image)
		if err != nil {
			return fmt.Errorf("%s: %w", redact.Line(image), err)
		}
		if logins, err = appendLogin(logins, login); err != nil {
			return err
		}
	}
	var auths []kubelet.Auth
	for _, login := range logins {
		auths = append(auths, login.auth)
	}
	config, err := kubelet.ConfigJSON(auths)
	if err != nil {
		return err
	}
	secret := newPullSecret(f.namespace, f.name, config)
	if first := a.tellEnds(logins, time.Now()); !first.IsZero() {
		secret.Metadata.Annotations = map[string]string{expiresAnnotation: first.UTC().Format(time.RFC3339)}
	}
	text, err := secret.encode(f.output)
	if err != nil {
		return err
	}
	if _, err := a.out.Write(text); err != nil {
		return err
	}
	if f.account == "" {
		return nil
	}
	patch := fmt.Sprintf(`kubectl patch serviceaccount %s -n %s -p '{"imagePullSecrets":[{"name":"%s"}]}'`, f.account, f.namespace, f.name)
	if f.output == "json" {
		a.err.Line("regcred: for new pods of the account to use it: " + patch)
		return nil
	}
	_, err = io.WriteString(a.out, "# For new pods of service account "+f.account+" to use it:\n#   "+patch+"\n")
	return err
}

// checkTerminal keeps passwords from a terminal, unless they are asked for.
func (a *app) checkTerminal(reveal bool) error {
	if a.out.IsTerminal() && !reveal {
		return usageError(errors.New("this has passwords in it, and this is a terminal: write it to a file or a pipe, or give --show-secrets"))
	}
	return nil
}

// isObjectName reports whether the API server takes a name: a DNS subdomain.
func isObjectName(name string) bool {
	return name != "" && len(name) <= 253 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == "" &&
		!strings.HasPrefix(name, "-") && !strings.HasSuffix(name, "-") && !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, ".")
}

// issued is a login that a provider gave.
type issued struct {
	auth     kubelet.Auth
	provider string
	// expires is when it ends; zero: that is not known.
	expires time.Time
}

// issue asks for an image's login, or a registry's.
func (a *app) issue(ctx context.Context, n replay.Node, image string) (issued, error) {
	name, err := imageOrRegistry(image)
	if err != nil {
		return issued{}, err
	}
	result, err := n.Ask(ctx, replay.Request{Image: name})
	if err != nil {
		return issued{}, err
	}
	at := slices.IndexFunc(result.Candidates, func(c kubelet.Candidate) bool { return c.Origin.Kind == kubelet.Plugin })
	if at < 0 {
		for _, outcome := range result.Failures() {
			return issued{}, fmt.Errorf("provider %s: %w", outcome.Provider.Name, outcome.Err)
		}
		for _, outcome := range result.Outcomes {
			if outcome.Skipped != "" {
				return issued{}, fmt.Errorf("provider %s is for pods alone: %s", outcome.Provider.Name, outcome.Skipped)
			}
		}
		return issued{}, errors.New("no provider of this node has a credential for it")
	}
	candidate := result.Candidates[at]
	if candidate.Username == "" && candidate.Password.Empty() {
		return issued{}, errors.New("it is pulled without a credential")
	}
	login := issued{auth: candidate.Auth, provider: candidate.Origin.Name}
	for _, outcome := range result.Outcomes {
		if outcome.Provider.Name != candidate.Origin.Name {
			continue
		}
		if outcome.Response.CacheKeyType == "Image" {
			login.auth.Key = name // good for no other
		}
		login.expires = expiry(n.Explain(ctx, outcome.Provider, name, kubelet.Pod{}))
	}
	return login, nil
}

// expiry is when a login that was just obtained ends, as the provider's cache has
// it. Zero means that it is not known.
func expiry(e replay.Explained) time.Time {
	switch {
	case e.Explanation == nil:
		return time.Time{}
	case e.Explanation.Cache.Entry != nil:
		return e.Explanation.Cache.Entry.Expires
	default:
		return time.Time{}
	}
}

// appendLogin adds a login, unless it is there.
func appendLogin(logins []issued, login issued) ([]issued, error) {
	for _, known := range logins {
		if known.auth.Key != login.auth.Key {
			continue
		}
		if known.auth.Username != login.auth.Username || known.auth.Password.Reveal() != login.auth.Password.Reveal() {
			return nil, fmt.Errorf("two logins for %s: a docker configuration holds one", redact.Line(login.auth.Key))
		}
		return logins, nil
	}
	return append(logins, login), nil
}

// tellEnds says on stderr when the logins end, and returns when the first does.
func (a *app) tellEnds(logins []issued, now time.Time) time.Time {
	var first time.Time
	for _, login := range logins {
		if login.expires.IsZero() {
			a.err.Line("regcred: warning: when the login for " + redact.Line(login.auth.Key) + " ends is not known: " + redact.Line(login.provider) + " keeps none, or does not say")
			continue
		}
		a.err.Line("regcred: warning: the login for " + redact.Line(login.auth.Key) + " ends at " + explain.When(login.expires, now) + ": make the Secret again before, or pulls with it are refused")
		if first.IsZero() || login.expires.Before(first) {
			first = login.expires
		}
	}
	return first
}
