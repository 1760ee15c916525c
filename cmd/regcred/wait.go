package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"regcred/cmd/regcred/internal/cluster"
	"regcred/shared/redact"
)

// waitCommand is for the containers of the chart, whose image has no other
// program that waits.
func (a *app) waitCommand() *cobra.Command {
	var daemonSet string
	var limit time.Duration
	cmd := &cobra.Command{
		Use:    "wait",
		Hidden: true,
		Short:  "Do nothing, until stopped or until each pod of a DaemonSet is ready",
		Long: `Wait is what the chart's containers do that have nothing to do: it sleeps until it is
stopped. With --daemonset it waits, in a pod that may get that DaemonSet, until a pod
of it is ready on each node.`,
		Example: `  regcred wait
  regcred wait --daemonset kube-system/regcred-uninstall --timeout 10m`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if daemonSet == "" {
				<-cmd.Context().Done()
				return nil
			}
			return a.waitFor(cmd.Context(), daemonSet, limit)
		},
	}
	cmd.Flags().StringVar(&daemonSet, "daemonset", "", "`NAMESPACE/NAME` of a DaemonSet")
	cmd.Flags().DurationVar(&limit, "timeout", 10*time.Minute, "how long its pods may take")
	return cmd
}

// rollout is what a DaemonSet's controller says of its pods.
type rollout struct {
	Metadata struct {
		Generation int64 `json:"generation"`
	} `json:"metadata"`
	Status struct {
		ObservedGeneration     int64 `json:"observedGeneration"`
		DesiredNumberScheduled int   `json:"desiredNumberScheduled"`
		UpdatedNumberScheduled int   `json:"updatedNumberScheduled"`
		NumberReady            int   `json:"numberReady"`
	} `json:"status"`
}

// obstacle is what has to be waited for, or empty.
func (r *rollout) obstacle() string {
	switch s := r.Status; {
	case s.ObservedGeneration < r.Metadata.Generation:
		return "its controller has not seen it yet"
	case s.UpdatedNumberScheduled < s.DesiredNumberScheduled, s.NumberReady < s.DesiredNumberScheduled:
		return fmt.Sprintf("%d of %d nodes are done", min(s.UpdatedNumberScheduled, s.NumberReady), s.DesiredNumberScheduled)
	}
	return ""
}

func (a *app) waitFor(ctx context.Context, daemonSet string, limit time.Duration) error {
	namespace, name, ok := strings.Cut(daemonSet, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return usageError(fmt.Errorf("--daemonset %.80q: want NAMESPACE/NAME", daemonSet))
	}
	if limit <= 0 {
		return usageError(errors.New("--timeout: want more than 0s"))
	}
	client, err := cluster.New(ctx, cluster.Options{Getenv: a.getenv})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	what := "get daemonset " + daemonSet
	path := "/apis/apps/v1/namespaces/" + url.PathEscape(namespace) + "/daemonsets/" + url.PathEscape(name)
	for last := ""; ; {
		var r rollout
		err := client.Call(ctx, what, http.MethodGet, path, nil, &r)
		obstacle := ""
		switch {
		case ctx.Err() != nil: // below
		case cluster.IsNotFound(err), cluster.IsForbidden(err):
			return err
		case err != nil: // An API server that is upgraded is back in a while.
			obstacle = err.Error()
		default:
			if obstacle = r.obstacle(); obstacle == "" {
				a.out.Line(redact.Line(fmt.Sprintf("%s: %d nodes are done", daemonSet, r.Status.DesiredNumberScheduled)))
				return nil
			}
		}
		if obstacle != "" && obstacle != last {
			a.out.Line(redact.Line(daemonSet + ": " + obstacle))
			last = obstacle
		}
		const poll = 2 * time.Second
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("daemonset %s: not within %s: %s", daemonSet, limit, last)
			}
			return fmt.Errorf("daemonset %s: interrupted", daemonSet)
		case <-time.After(poll):
		}
	}
}
