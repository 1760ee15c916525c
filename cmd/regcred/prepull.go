package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"regcred/cmd/regcred/internal/cri"
	"regcred/cmd/regcred/internal/node"
	"regcred/cmd/regcred/internal/prepull"
	"regcred/shared/file"
	"regcred/shared/kubelet"
	"regcred/shared/kubelet/pulls"
)

// prepullFlags are what prepull is told.
type prepullFlags struct {
	node     nodeFlags
	endpoint string
	files    []string
	fromPods bool
	policy   string
	jobs     int
	retries  int
	timeout  time.Duration
	lock     string
	pin      bool
	sandbox  string
	output   string
}

func (a *app) prepullCommand() *cobra.Command {
	var f prepullFlags
	cmd := &cobra.Command{
		Use:     "prepull [IMAGE...]",
		GroupID: groupNode,
		Short:   "Pull images before pods need them, as the kubelet would",
		Long: `prepull has the node's container runtime pull images, with the credentials that
the kubelet would use: those of the node's credential providers and of its docker
configuration. It is for node images, and for nodes that are about to be busy or
cut off.

Name images exactly as pods do. The runtime knows an image by the names that it
was pulled under: "app:v1" and "app:v1@sha256:..." are two. What has no tag gets
"latest", as with the kubelet.

A list has an image a line, with its digest after a blank where that is to be
verified, and comments from a "#". The lock file of another run is a list too.
Images that are here already are not pulled again, so a run that was cut off goes
on where it was; those whose tag is "latest" are, as for pods.

For each image it says whether pods without credentials may use it: the kubelet
records who has proved the right to it, and verifies that of what it pulled itself.

The exit code is 1 if one of the images could not be had, or not be pinned; the others
are here then.`,
		Example: `  regcred prepull 123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1
  regcred prepull -f images.txt --lock images.lock --pin
  regcred prepull --from-pods --pull-policy Always`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.runPrepull(cmd.Context(), f, args) },
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.files, "file", "f", nil, "`list` of images, - for stdin; may be given more than once")
	flags.BoolVar(&f.fromPods, "from-pods", false, "the images of the pods that this node has")
	flags.StringVar(&f.policy, "pull-policy", "", "`Always|IfNotPresent|Never`, as a pod's imagePullPolicy; as for a pod that has none")
	flags.IntVarP(&f.jobs, "jobs", "j", 4, "`number` of images to pull at a time")
	flags.IntVar(&f.retries, "retries", 3, "`number` of times that a pull is tried again that may go better then")
	flags.DurationVar(&f.timeout, "timeout", 15*time.Minute, "for one try of one image")
	flags.StringVar(&f.lock, "lock", "", "`file` to write what was pulled to, with digests and sizes, for other nodes")
	flags.BoolVar(&f.pin, "pin", false, "keep the kubelet's garbage collection from the images, and from the sandbox image")
	flags.StringVar(&f.sandbox, "sandbox-image", "", "`image` of the pods' sandboxes, for --pin; the one that the runtime is configured with")
	flags.StringVarP(&f.output, "output", "o", "text", "`text|json`: bars on a terminal and lines elsewhere, or a line of JSON for each event")
	flags.StringVar(&f.endpoint, "runtime-endpoint", "", "`socket` of the container runtime; the kubelet's, else the one that is here")
	f.node.add(flags)
	return cmd
}

// runPrepull pulls what the flags and arguments name.
func (a *app) runPrepull(ctx context.Context, f prepullFlags, args []string) error {
	policy := prepull.Policy(f.policy)
	switch policy {
	case prepull.Default, prepull.Always, prepull.IfNotPresent, prepull.Never:
	default:
		return usageError(fmt.Errorf("--pull-policy %q: want Always, IfNotPresent or Never", f.policy))
	}
	if f.output != "text" && f.output != "json" {
		return usageError(fmt.Errorf("--output %q: want text or json", f.output))
	}
	if f.jobs < 1 || f.retries < 0 {
		return usageError(errors.New("--jobs and --retries: want at least 1 and 0"))
	}
	n, err := f.node.find()
	if err != nil {
		return err
	}
	wants, err := a.wants(ctx, n, f, args)
	if err != nil {
		return err
	}
	runtime, err := cri.Find(ctx, n.Path("/"), f.endpoint, kubeletsEndpoint(n))
	if err != nil {
		return err
	}
	defer func() { _ = runtime.Close() }()
	if f.pin {
		if wants, err = withSandbox(ctx, n, runtime, f.sandbox, wants); err != nil {
			return err
		}
	}
	node, err := a.providers(n)
	if err != nil {
		return err
	}

	records := pulls.In(n.Path(n.RootDir))
	verification := verificationOf(n, records)
	if f.lock != "" {
		// Better now than after all pulls.
		if info, err := os.Stat(filepath.Dir(f.lock)); err != nil || !info.IsDir() {
			return fmt.Errorf("--lock %s: its directory is not there", f.lock)
		}
	}
	reporter := a.reporter(f.output, len(wants))
	began := time.Now()
	puller := prepull.Puller{Runtime: runtime, Logins: func(ctx context.Context, image string) ([]kubelet.Candidate, []error) {
		return logins(ctx, node, image)
	}, Policy: policy, Jobs: f.jobs, Retries: f.retries, Timeout: f.timeout, Report: reporter.Report,
		Verdict: func(image, id string) pulls.Verdict {
			return records.Verdict(image, id, pulls.Pod{}, verification)
		}}
	results := puller.Pull(ctx, wants)
	reporter.Close()
	if f.lock != "" {
		if err := file.Replace(f.lock, prepull.NewLock(results).Encode(), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", f.lock, err)
		}
	}
	todo, pinFailed := "", error(nil)
	if f.pin {
		todo, pinFailed = pin(ctx, n, runtime, results)
	}
	if f.output == "text" {
		a.out.Line(prepull.Summary(results, time.Since(began)))
		if todo != "" {
			a.out.Line("for the pins to count: " + todo)
		}
	}
	if pinFailed != nil {
		return pinFailed
	}
	for _, r := range results {
		if r.Err != nil {
			return exitCode(1)
		}
	}
	return nil
}

// kubeletsEndpoint is the runtime of the kubelet that runs, or "" if none does.
func kubeletsEndpoint(n *node.Node) string {
	if n.Process == nil {
		return ""
	}
	if endpoint := n.Configuration.ImageServiceEndpoint; endpoint != "" {
		return endpoint
	}
	return n.Configuration.ContainerRuntimeEndpoint
}

// reporter shows progress in a form.
func (a *app) reporter(output string, images int) prepull.Reporter {
	switch {
	case output == "json":
		return prepull.NewJSON(a.out)
	case a.out.IsTerminal():
		return prepull.NewBars(a.out, images)
	default:
		return prepull.NewLog(a.out)
	}
}

// podImages returns the images of the pods that the API server has for the
// node, as the pods write them.
func (a *app) podImages(ctx context.Context, n *node.Node) ([]string, error) {
	server, err := a.apiServer(ctx, n)
	if err != nil {
		return nil, err
	}
	pods, err := server.Pods(ctx, n.Name)
	if err != nil {
		return nil, err
	}
	var images []string
	for _, pod := range pods {
		images = append(images, pod.Images()...)
	}
	slices.Sort(images)
	return slices.Compact(images), nil
}

// maxList bounds a list of images.
const maxList = 4 << 20

// wants returns the images that the flags and arguments name.
func (a *app) wants(ctx context.Context, n *node.Node, f prepullFlags, args []string) ([]prepull.Want, error) {
	var wants []prepull.Want
	for _, image := range args {
		wants = append(wants, prepull.Want{Image: image})
	}
	for _, name := range f.files {
		text, err := a.readList(name)
		if err != nil {
			return nil, err
		}
		list, err := prepull.ParseList(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		wants = append(wants, list...)
	}
	if f.fromPods {
		images, err := a.podImages(ctx, n)
		if err != nil {
			return nil, err
		}
		for _, image := range images {
			wants = append(wants, prepull.Want{Image: image})
		}
	}
	wants, err := prepull.Unique(wants)
	if err != nil {
		return nil, err
	}
	if len(wants) == 0 {
		return nil, usageError(errors.New("no images: name some, or give -f LIST or --from-pods"))
	}
	return wants, nil
}

// readList reads a list of images.
func (a *app) readList(name string) ([]byte, error) {
	r := a.stdin
	if name != "-" {
		opened, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = opened.Close() }()
		r = opened
	}
	text, err := file.ReadAll(r, maxList)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return text, nil
}

// withSandbox adds the image of the pods' sandboxes, without which no pod
// starts.
func withSandbox(ctx context.Context, n *node.Node, runtime *cri.Runtime, given string, wants []prepull.Want) ([]prepull.Want, error) {
	image := given
	if image == "" {
		var err error
		if image, err = runtime.SandboxImage(ctx, n.Path("/")); err != nil {
			return nil, err
		}
	}
	if image == "" {
		return nil, fmt.Errorf("--pin: the configuration of %s does not name its sandbox image: give --sandbox-image IMAGE", runtime)
	}
	return prepull.Unique(append(wants, prepull.Want{Image: image}))
}

// pin pins what is here.
func pin(ctx context.Context, n *node.Node, runtime *cri.Runtime, results []prepull.Result) (todo string, err error) {
	var names []string
	for _, r := range results {
		if r.Err == nil {
			names = append(names, r.Name())
		}
	}
	return runtime.Pin(ctx, n.Path("/"), names...)
}
