package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"regcred/cmd/regcred/internal/node"
	"regcred/cmd/regcred/internal/registry"
	"regcred/cmd/regcred/internal/replay"
	"regcred/shared/kubelet"
	"regcred/shared/redact"
)

// getFlags are the flags of "regcred get".
type getFlags struct {
	subject subjectFlags
	output  string
	reveal  bool
}

func (a *app) getCommand() *cobra.Command {
	var f getFlags
	cmd := &cobra.Command{
		Use:     "get [IMAGE...]",
		GroupID: groupAsk,
		Short:   "Ask for an image's credentials as the kubelet does, and show what comes of it",
		Long: `get does for an image what the kubelet does before it pulls it: it says which
credential providers are for the image and why the others are not, runs those that
are with the kubelet's environment, reads the pull secrets and the node's docker
configuration, and shows the credentials in the order in which they are tried. With
--pull it asks the registry whether it takes them, in the stages of a pull.

Name the image as the pod does. --pod and --service-account do it on behalf of a pod,
with the same token that the kubelet would request.

Passwords are not shown; --show-secrets shows them. The forms docker and response are
for programs and have them always, and so are refused on a terminal without
--show-secrets.

The exit code is 0 if there is a credential, or none is needed, and 1 if a provider
that is for the image failed, or, with --pull, if the registry takes none.`,
		Example: `  regcred get 123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1
  regcred get --pull --fresh ghcr.io/team/app
  regcred get --pod team/app-5f7d9            every image of a pod that fails
  regcred get --service-account team/builder us.gcr.io/team/app
  regcred get -o docker IMAGE > config.json   for docker, skopeo --authfile, kaniko`,
		RunE: func(cmd *cobra.Command, images []string) error { return a.runGet(cmd.Context(), f, images) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "text", "`form`: text, json, docker (a config.json, also for $DOCKER_AUTH_CONFIG) or response (what the provider answers)")
	flags.BoolVar(&f.reveal, "show-secrets", false, "show passwords")
	f.subject.add(flags)
	return cmd
}

func (a *app) runGet(ctx context.Context, f getFlags, images []string) error {
	switch f.output {
	case "text", "json":
	case "docker", "response":
		if a.out.IsTerminal() && !f.reveal {
			return usageError(fmt.Errorf("-o %s shows passwords, and this is a terminal: write it to a file or a pipe, or give --show-secrets", f.output))
		}
	default:
		return usageError(fmt.Errorf("--output=%s: want text, json, docker or response", f.output))
	}
	got, err := a.ask(ctx, &f.subject, images)
	if err != nil {
		return err
	}
	if f.output == "response" && len(got.replays) > 1 {
		return usageError(errors.New("-o response is of one image"))
	}
	report := got.report(f.reveal)
	switch f.output {
	case "json":
		text, err := report.JSON()
		if err != nil {
			return err
		}
		_, _ = a.out.Write(text)
	case "text":
		report.Print(a.out)
	default:
		if err := a.printForPrograms(f.output, got); err != nil {
			return err
		}
		for _, image := range report.Images {
			if !image.OK() {
				a.err.Line("regcred: " + image.Image + ": " + image.Message)
			}
		}
	}
	if f.reveal && !a.out.IsTerminal() {
		a.err.Line("regcred: what was printed has passwords in it")
	}
	if !report.OK() {
		return exitCode(1)
	}
	return nil
}

// printForPrograms prints credentials in a form that others read.
func (a *app) printForPrograms(form string, got *answers) error {
	if form == "docker" {
		config, passed := got.dockerConfig()
		for _, image := range passed {
			a.err.Line("regcred: " + image + " has another login for a registry that is in the configuration already: left out")
		}
		_, err := a.out.Write(config)
		return err
	}
	for _, outcome := range got.replays[0].Outcomes {
		if outcome.Err == nil && outcome.Response != nil {
			text, err := replay.Response(outcome.Provider.APIVersion, outcome.Response)
			if err == nil {
				_, err = a.out.Write(text)
			}
			return err
		}
	}
	return nil
}

// answers are what became of a get.
type answers struct {
	node    *node.Node
	subject *subject
	notes   []string
	replays []*replay.Replay
	pulls   []*replay.Pull // nil where the registry was not asked
}

// ask replays the kubelet for images, and asks the registry if the flags say so.
func (a *app) ask(ctx context.Context, f *subjectFlags, images []string) (*answers, error) {
	n, err := f.node.find()
	if err != nil {
		return nil, err
	}
	kubelets, notes, err := a.replayNode(n, f)
	if err != nil {
		return nil, err
	}
	s, err := a.subject(ctx, n, kubelets.Config, &f.podFlags, images)
	if err != nil {
		return nil, err
	}
	got := &answers{node: n, subject: s, notes: append(notes, s.notes...)}
	checker := registry.Checker{Hosts: registry.Hosts{Dirs: hostsDirs(n, f)}, Platform: f.platform}
	if f.pull {
		var note string
		if checker.Proxy, note = a.pullProxy(ctx, n); note != "" {
			got.notes = append(got.notes, note)
		}
	}
	if checker.Platform == "" {
		checker.Platform = "linux/" + runtime.GOARCH
	}
	going := newGoing(a.err)
	defer going.end()
	foreign := map[string]bool{}
	for _, image := range s.images {
		going.tell([]string{image})
		r, err := kubelets.Ask(ctx, replay.Request{Image: image, Pod: s.pod, Secrets: s.secrets, Fresh: f.fresh})
		if err != nil {
			return nil, err // which names it
		}
		for _, name := range r.Foreign {
			if !foreign[name] {
				foreign[name] = true
				got.notes = append(got.notes, fmt.Sprintf("provider %s is not of this suite: --fresh does nothing about what it keeps", name))
			}
		}
		var pull *replay.Pull
		if f.pull && r.Secret == nil {
			if pull, err = askRegistry(ctx, checker, r); err != nil {
				return nil, err
			}
		}
		got.replays, got.pulls = append(got.replays, r), append(got.pulls, pull)
	}
	return got, ctx.Err()
}

// askRegistry asks the registry whether it takes the candidates, until it takes
// one.
func askRegistry(ctx context.Context, checker registry.Checker, r *replay.Replay) (*replay.Pull, error) {
	logins := make([]*kubelet.Auth, 0, len(r.Candidates)+1)
	for _, candidate := range r.Candidates {
		login := &candidate.Auth
		if candidate.Username == "" && candidate.Password.Empty() {
			login = nil // which the runtime takes for none
		}
		logins = append(logins, login)
	}
	if len(logins) == 0 {
		logins = append(logins, nil)
	}
	pull := &replay.Pull{}
	for _, login := range logins {
		results, err := checker.Check(ctx, r.Image, login)
		if err != nil {
			return nil, err
		}
		pull.Results = append(pull.Results, results)
		if pull.Taken() >= 0 {
			break
		}
	}
	return pull, nil
}

// hostsDirs are where containerd's configuration of registries is.
func hostsDirs(n *node.Node, f *subjectFlags) []string {
	if len(f.hostsDirs) > 0 {
		return f.hostsDirs
	}
	dirs := []string{"/etc/containerd/certs.d", "/etc/docker/certs.d"}
	switch endpoint := n.Configuration.ContainerRuntimeEndpoint; {
	case strings.Contains(endpoint, "/k3s/"):
		dirs = []string{"/var/lib/rancher/k3s/agent/etc/containerd/certs.d", "/var/lib/rancher/rke2/agent/etc/containerd/certs.d"}
	case strings.Contains(endpoint, "/snap/microk8s/"):
		dirs = []string{"/var/snap/microk8s/current/args/certs.d"}
	}
	for i := range dirs {
		dirs[i] = n.Path(dirs[i])
	}
	return dirs
}

// report makes the report.
func (g *answers) report(reveal bool) *replay.Report {
	report := &replay.Report{
		APIVersion: replay.APIVersion, Kind: replay.Kind, Config: g.node.ProviderConfig, BinDir: g.node.BinDir,
		For: g.subject.who, Notes: g.notes,
	}
	if report.Notes == nil {
		report.Notes = []string{}
	}
	for i := range report.Notes {
		report.Notes[i] = redact.Line(report.Notes[i])
	}
	if g.node.Process != nil {
		report.Kubelet = g.node.Process.String()
	}
	for i, r := range g.replays {
		report.Images = append(report.Images, r.Report(g.subject.secrets, g.pulls[i], reveal))
	}
	return report
}

// chosen is the credential of an image for others to use: the one that the
// registry takes if it was asked, else the first. It is nil if there is none.
func (g *answers) chosen(i int) *kubelet.Candidate {
	candidates := g.replays[i].Candidates
	index := 0
	if pull := g.pulls[i]; pull != nil {
		index = pull.Taken()
	}
	if index < 0 || index >= len(candidates) {
		return nil
	}
	return &candidates[index]
}

// dockerHub is docker's own key for Docker Hub.
const dockerHub = "https://index.docker.io/v1/"

// dockerConfig is docker configuration with the images' credentials. It knows
// registries alone; the images whose login is another than one before for the
// same registry are left out.
func (g *answers) dockerConfig() (config []byte, passed []string) {
	type entry struct {
		Auth string `json:"auth"`
	}
	auths := map[string]entry{}
	for i, r := range g.replays {
		chosen := g.chosen(i)
		if chosen == nil {
			continue
		}
		host, _, _ := strings.Cut(r.Name, "/")
		if host == "docker.io" {
			host = dockerHub
		}
		e := entry{base64.StdEncoding.EncodeToString([]byte(chosen.Username + ":" + chosen.Password.Reveal()))}
		if before, found := auths[host]; found && before != e {
			passed = append(passed, r.Image)
			continue
		}
		auths[host] = e
	}
	// A map of strings always encodes.
	text, _ := json.Marshal(struct {
		Auths map[string]entry `json:"auths"`
	}{auths})
	return append(text, '\n'), passed
}
