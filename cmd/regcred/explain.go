package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"regcred/cmd/regcred/internal/cluster"
	"regcred/cmd/regcred/internal/cri"
	"regcred/cmd/regcred/internal/node"
	"regcred/cmd/regcred/internal/replay"
	"regcred/shared/kubelet"
	"regcred/shared/kubelet/pulls"
	"regcred/shared/redact"
)

// explainFlags are what explain is told.
type explainFlags struct {
	node     nodeFlags
	pod      podFlags
	policy   string
	endpoint string
	output   string
}

func (a *app) explainCommand() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:     "explain [IMAGE...]",
		GroupID: groupAsk,
		Short:   "Say what would happen to an image, and ask no cloud",
		Long: `explain says what the kubelet would do for an image, without doing it: by which pull
policy, whether the image is here and this pod may use it without a pull, which
credential providers are for it and why the others are not, whom the plugins of this
suite would ask for what and as whom, and what their cache holds. No cloud and no
registry is asked.

An image that is here may still have to be pulled: the kubelet records who has proved
the right to it, and hides from other pods that it is there.

With --pod it is for the pod's images, service account and pull secrets, of which the
API server is asked.

The exit code is 1 if it can be told that an image would not be had.`,
		Example: `  regcred explain 123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1
  regcred explain --pod team/app-0
  regcred explain --service-account team/app --pull-policy Never registry.example.com/app:v1`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.explain(cmd.Context(), f, args) },
	}
	flags := cmd.Flags()
	f.pod.add(flags)
	flags.StringVar(&f.policy, "pull-policy", "", "`Always|IfNotPresent|Never`, the imagePullPolicy; the pod's, else what one has that says none")
	flags.StringVar(&f.endpoint, "runtime-endpoint", "", "`socket` of the container runtime; the kubelet's, else the one that is here")
	flags.StringVarP(&f.output, "output", "o", "text", "`text|json`")
	f.node.add(flags)
	cmd.ValidArgsFunction = a.completeImages(&f.node)
	completeFlag(cmd, "pull-policy", kubelet.PullAlways, kubelet.PullIfNotPresent, kubelet.PullNever)
	completeFlag(cmd, "output", "text", "json")
	return cmd
}

// explain explains what would happen to images.
func (a *app) explain(ctx context.Context, f explainFlags, args []string) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	switch f.policy {
	case "", kubelet.PullAlways, kubelet.PullIfNotPresent, kubelet.PullNever:
	default:
		return usageError(fmt.Errorf("--pull-policy %q: want Always, IfNotPresent or Never", f.policy))
	}
	n, err := f.node.find()
	if err != nil {
		return err
	}
	providers, notes, err := a.replayNode(n, &subjectFlags{})
	if err != nil {
		return err
	}
	who, err := a.subject(ctx, n, providers.Config, &f.pod, args)
	if err != nil {
		return err
	}
	if len(who.images) == 0 {
		return usageError(errors.New("which image? name one, or a --pod"))
	}
	all := explained{node: shown{n}, subject: who, notes: append(notes, who.notes...)}
	for _, image := range who.images {
		r := &explainReport{subject: who, image: image, now: time.Now()}
		if r.name, err = kubelet.ImageName(image); err != nil {
			return err
		}
		r.policy, r.policyWhy = pullPolicy(f.policy, image, who)
		r.ask(ctx, providers)
		for _, note := range r.look(ctx, n, f.endpoint) {
			if !slices.Contains(all.notes, note) {
				all.notes = append(all.notes, note)
			}
		}
		r.conclude()
		all.images = append(all.images, r)
	}
	if f.output == "json" {
		err = printJSON(a.out, all.json())
	} else {
		all.text(a.out)
	}
	if err == nil && !all.ok() {
		return exitCode(1)
	}
	return err
}

// explained is what explain has to tell.
type explained struct {
	node    shown
	subject *subject
	notes   []string
	images  []*explainReport
}

// ok reports whether nothing is known that keeps the images from being had.
func (e explained) ok() bool {
	return !slices.ContainsFunc(e.images, func(r *explainReport) bool { return !r.ok })
}

// pullPolicy is the policy for an image, and where it is from.
func pullPolicy(given, image string, who *subject) (policy, why string) {
	if given != "" {
		return given, "--pull-policy"
	}
	if who.object != nil {
		spec := who.object.Spec
		for _, containers := range [][]cluster.Container{spec.InitContainers, spec.Containers, spec.EphemeralContainers} {
			for _, c := range containers {
				if c.Image == image && c.ImagePullPolicy != "" {
					return c.ImagePullPolicy, "container " + redact.Line(c.Name) + " of the pod"
				}
			}
		}
		for _, volume := range spec.Volumes {
			if volume.Image != nil && volume.Image.Reference == image && volume.Image.PullPolicy != "" {
				return volume.Image.PullPolicy, "volume " + redact.Line(volume.Name) + " of the pod"
			}
		}
	}
	policy = kubelet.DefaultPullPolicy(image)
	if policy == kubelet.PullAlways {
		return policy, "what a container has that says none, for the tag latest"
	}
	return policy, "what a container has that says none, for this tag or digest"
}

// explainReport is what explain has to tell of an image.
type explainReport struct {
	subject *subject
	now     time.Time

	// image is as a pod has it, and name what the kubelet asks providers for.
	image, name       string
	policy, policyWhy string

	matches   []kubelet.Match
	explained map[string]replay.Explained // by the provider's name

	// secret is a pull secret that cannot be read.
	secret error
	// logins are those of pull secrets and of the node's docker configuration.
	logins []kubelet.Candidate
	file   kubelet.NodeFile

	// runtime is the container runtime, and here the image that it has, or nil.
	// runtimeErr is why it is not known.
	runtime    string
	here       *cri.Image
	runtimeErr error

	verification pulls.Policy
	verdict      pulls.Verdict
	recorded     []pulls.Record // of the name, where the runtime does not say the ID

	ok         bool
	conclusion string
}

// ask asks the providers, and reads what else there is.
func (r *explainReport) ask(ctx context.Context, n replay.Node) {
	if n.Config != nil {
		r.matches = n.Config.Match(r.name)
	}
	r.explained = map[string]replay.Explained{}
	for _, match := range r.matches {
		if match.Matched {
			r.explained[match.Provider.Name] = n.Explain(ctx, match.Provider, r.name, r.subject.pod)
		}
	}
	var keyring kubelet.Keyring
	for _, secret := range r.subject.secrets {
		if err := keyring.AddSecret(secret); err != nil {
			r.secret = err
			return
		}
	}
	r.file = n.Files.Read()
	keyring.AddFile(r.file)
	r.logins = keyring.Candidates(r.name)
}

// look looks for the image on the node, and for what the kubelet has recorded.
// Notes are worth knowing about that.
func (r *explainReport) look(ctx context.Context, n *node.Node, endpoint string) (notes []string) {
	records := pulls.In(n.Path(n.RootDir))
	r.verification = verificationOf(n, records)
	listing, err := records.List()
	if err != nil {
		notes = append(notes, "the kubelet's pull records cannot be listed: "+err.Error())
	}
	for _, file := range listing.Unknown {
		notes = append(notes, "a pull record is not known here, which a later kubelet may have written: "+file.File+": "+file.Reason)
	}

	runtime, err := cri.Find(ctx, n.Path("/"), endpoint, kubeletsEndpoint(n))
	if err == nil {
		defer func() { _ = runtime.Close() }()
		r.runtime = runtime.String()
		r.here, err = runtime.Image(ctx, kubelet.WithTag(r.image))
	}
	if err != nil {
		r.runtimeErr = err
		r.recorded = listing.Of(r.image)
		return notes
	}
	id := ""
	if r.here != nil {
		id = r.here.ID
	}
	r.verdict = records.Verdict(r.image, id, r.proof(), r.verification)
	return notes
}

// proof is what the pod can show for an image that is here.
func (r *explainReport) proof() pulls.Pod {
	var pod pulls.Pod
	if r.secret != nil {
		return pulls.Pod{Unknown: r.secret}
	}
	for _, login := range r.logins {
		if login.Origin.Kind != kubelet.PullSecret {
			continue
		}
		at := slices.IndexFunc(r.subject.secrets, func(s kubelet.Secret) bool { return s.String() == login.Origin.Name })
		if at < 0 {
			continue
		}
		secret := r.subject.secrets[at]
		pod.Secrets = append(pod.Secrets, pulls.Secret{
			UID: secret.UID, Namespace: secret.Namespace, Name: secret.Name,
			CredentialHash: pulls.Hash(login.Username, login.Password.Reveal(), login.Email),
		})
	}
	account := r.subject.pod.ServiceAccount
	if account == nil {
		return pod
	}
	for _, match := range r.matches {
		if !match.Matched || match.Provider.Audience() == "" {
			continue
		}
		switch e := r.explained[match.Provider.Name]; {
		case e.Foreign:
			pod.Unknown = fmt.Errorf("provider %s is not of this suite, and is not asked here", match.Provider.Name)
		case e.Explanation != nil && e.Explanation.Source != "":
			pod.ServiceAccount = &pulls.ServiceAccount{UID: account.UID, Namespace: account.Namespace, Name: account.Name}
			pod.Unknown = nil
			return pod
		}
	}
	return pod
}

// conclude says what would happen.
func (r *explainReport) conclude() {
	present := r.runtimeErr == nil && r.here != nil && r.policy != kubelet.PullAlways
	switch {
	case present && r.verdict.Allowed:
		r.ok = true
		r.conclusion = "the container starts from the image that is here"
		if r.verdict.Reason == pulls.SecretKnown || r.verdict.Reason == pulls.ServiceAccountKnown {
			r.conclusion += ", after the kubelet has asked its providers what the pod may show"
		} else {
			r.conclusion += ", and no provider is asked"
		}
	case r.policy == kubelet.PullNever && r.runtimeErr != nil:
		r.ok = true
		r.conclusion = "with the policy Never the container starts if the image is here and the pod may use it, which is not known"
	case r.policy == kubelet.PullNever && r.here == nil:
		r.conclusion = "the pod fails with ErrImageNeverPull: the image is not here, and the policy is Never"
	case r.policy == kubelet.PullNever:
		r.conclusion = "the pod fails with ErrImageNeverPull, as if the image were not here: the policy is Never, and it would have to be pulled"
	case r.secret != nil:
		r.conclusion = "the kubelet pulls nothing for this pod, and asks no provider: " + redact.Line(r.secret.Error())
	default:
		r.concludePull()
	}
}

// concludePull says with what the image would be pulled.
func (r *explainReport) concludePull() {
	var first string
	var asked, failed, unknown []string
	if len(r.logins) > 0 {
		first = r.logins[0].Origin.String()
	}
	for _, match := range r.matches {
		e, found := r.explained[match.Provider.Name]
		switch x := e.Explanation; {
		case !found || e.Skipped != "":
		case e.Foreign:
			unknown = append(unknown, "provider "+match.Provider.Name+" is run, of which nothing is known here")
		case e.Err != nil:
			failed = append(failed, "provider "+match.Provider.Name+" fails: "+e.Err.Error())
		case x.Refused != "":
			failed = append(failed, "provider "+match.Provider.Name+" refuses it: "+x.Refused)
		case x.Next == "fail" && x.Cache.Entry != nil:
			failed = append(failed, "provider "+match.Provider.Name+" has just failed: "+x.Cache.Entry.Failure)
		case x.Own && x.Next == "ask":
			asked = append(asked, "provider "+match.Provider.Name+" asks "+x.Source)
		case x.Own:
			asked = append(asked, "provider "+match.Provider.Name+" has an answer in its cache, of "+x.Source)
		}
	}
	what := "the kubelet pulls the image"
	if r.policy == kubelet.PullAlways {
		what = "the kubelet asks the registry for the image, whether it is here or not"
	}
	parts := append(slices.Clone(asked), unknown...)
	r.ok = first != "" || len(parts) > 0 || len(failed) == 0
	switch {
	case first != "":
		r.conclusion = what + ", and tries " + first + " first"
	case len(parts) > 0:
		r.conclusion = what
	default:
		r.conclusion = what + " as anybody"
		if len(failed) == 0 {
			r.conclusion += ": nobody has a credential for it"
		}
	}
	for _, part := range append(parts, failed...) {
		r.conclusion += "; " + part
	}
}
