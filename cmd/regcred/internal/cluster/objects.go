package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"regcred/shared/credential"
)

// Meta is what every object has.
type Meta struct {
	Namespace   string            `json:"namespace,omitempty"`
	Name        string            `json:"name,omitempty"`
	UID         string            `json:"uid,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
}

// Reference names an object of the same namespace.
type Reference struct {
	Name string `json:"name"`
}

// ServiceAccount is a service account.
type ServiceAccount struct {
	Meta             Meta        `json:"metadata"`
	ImagePullSecrets []Reference `json:"imagePullSecrets"`
}

// Secret is a secret, with its data decoded.
type Secret struct {
	Meta Meta              `json:"metadata"`
	Type string            `json:"type"`
	Data map[string][]byte `json:"data"`
}

// Pod is what a pod says of its images.
type Pod struct {
	Meta Meta `json:"metadata"`
	Spec struct {
		NodeName            string      `json:"nodeName"`
		ServiceAccountName  string      `json:"serviceAccountName"`
		ImagePullSecrets    []Reference `json:"imagePullSecrets"`
		InitContainers      []Container `json:"initContainers"`
		Containers          []Container `json:"containers"`
		EphemeralContainers []Container `json:"ephemeralContainers"`
		Volumes             []struct {
			Name  string `json:"name"`
			Image *struct {
				Reference  string `json:"reference"`
				PullPolicy string `json:"pullPolicy"`
			} `json:"image"`
		} `json:"volumes"`
	} `json:"spec"`
	Status struct {
		ContainerStatuses     []ContainerStatus `json:"containerStatuses"`
		InitContainerStatuses []ContainerStatus `json:"initContainerStatuses"`
	} `json:"status"`
}

// Container is a container of a pod.
type Container struct {
	Name            string `json:"name"`
	Image           string `json:"image"`
	ImagePullPolicy string `json:"imagePullPolicy"`
}

// ContainerStatus says why a container waits.
type ContainerStatus struct {
	Name  string `json:"name"`
	Image string `json:"image"`
	State struct {
		Waiting *struct {
			Reason  string `json:"reason"`
			Message string `json:"message"`
		} `json:"waiting"`
	} `json:"state"`
}

// Images returns the pod's images as it writes them, in the order in which the
// kubelet pulls them, each once.
func (p Pod) Images() []string {
	var images []string
	seen := map[string]bool{}
	add := func(image string) {
		if image != "" && !seen[image] {
			seen[image] = true
			images = append(images, image)
		}
	}
	for _, volume := range p.Spec.Volumes {
		if volume.Image != nil {
			add(volume.Image.Reference)
		}
	}
	for _, containers := range [][]Container{p.Spec.InitContainers, p.Spec.Containers, p.Spec.EphemeralContainers} {
		for _, container := range containers {
			add(container.Image)
		}
	}
	return images
}

// ServiceAccount gets a service account.
func (c *Client) ServiceAccount(ctx context.Context, namespace, name string) (ServiceAccount, error) {
	var account ServiceAccount
	err := c.Call(ctx, fmt.Sprintf("get service account %s/%s", namespace, name), http.MethodGet,
		"/api/v1/namespaces/"+segment(namespace)+"/serviceaccounts/"+segment(name), nil, &account)
	return account, err
}

// Secret gets a secret. What is in it is known as secret from then on.
func (c *Client) Secret(ctx context.Context, namespace, name string) (Secret, error) {
	var secret Secret
	err := c.Call(ctx, fmt.Sprintf("get secret %s/%s", namespace, name), http.MethodGet,
		"/api/v1/namespaces/"+segment(namespace)+"/secrets/"+segment(name), nil, &secret)
	for _, value := range secret.Data {
		credential.NewSecret(string(value))
	}
	return secret, err
}

// Pod gets a pod.
func (c *Client) Pod(ctx context.Context, namespace, name string) (Pod, error) {
	var pod Pod
	err := c.Call(ctx, fmt.Sprintf("get pod %s/%s", namespace, name), http.MethodGet,
		"/api/v1/namespaces/"+segment(namespace)+"/pods/"+segment(name), nil, &pod)
	// A static pod has no service account; what the API server has is its image.
	if _, static := pod.Meta.Annotations["kubernetes.io/config.mirror"]; pod.Spec.ServiceAccountName == "" && !static {
		pod.Spec.ServiceAccountName = "default"
	}
	return pod, err
}

// TokenRequest asks for a token of a service account.
type TokenRequest struct {
	Namespace, ServiceAccount string

	// Audience is whom the token is for.
	Audience string

	// Life is how long it is asked to live. Zero is the server's default, an
	// hour.
	Life time.Duration

	// PodName and PodUID bind the token to a pod: it ends with it. Empty binds
	// it to nothing.
	PodName, PodUID string
}

// Token asks for a token, and says when it expires.
func (c *Client) Token(ctx context.Context, r TokenRequest) (credential.Secret, time.Time, error) {
	type boundObject struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
		Name       string `json:"name"`
		UID        string `json:"uid,omitempty"`
	}
	type spec struct {
		Audiences         []string     `json:"audiences"`
		ExpirationSeconds int64        `json:"expirationSeconds,omitempty"`
		BoundObjectRef    *boundObject `json:"boundObjectRef,omitempty"`
	}
	request := struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Spec       spec   `json:"spec"`
	}{"authentication.k8s.io/v1", "TokenRequest", spec{Audiences: []string{r.Audience}, ExpirationSeconds: int64(r.Life / time.Second)}}
	if r.PodName != "" {
		request.Spec.BoundObjectRef = &boundObject{"Pod", "v1", r.PodName, r.PodUID}
	}
	var answer struct {
		Status struct {
			Token   string    `json:"token"`
			Expires time.Time `json:"expirationTimestamp"`
		} `json:"status"`
	}
	what := fmt.Sprintf("request a token of service account %s/%s for the audience %q", r.Namespace, r.ServiceAccount, r.Audience)
	err := c.Call(ctx, what, http.MethodPost,
		"/api/v1/namespaces/"+segment(r.Namespace)+"/serviceaccounts/"+segment(r.ServiceAccount)+"/token", request, &answer)
	token := credential.NewSecret(answer.Status.Token)
	if refused, ok := errors.AsType[*Error](err); ok && refused.Status == http.StatusForbidden {
		refused.Advice = tokenAdvice(r)
		return credential.Secret{}, time.Time{}, refused
	}
	if err == nil && token.Empty() {
		err = fmt.Errorf("%s: no token in the answer", what)
	}
	return token, answer.Status.Expires, err
}

// tokenAdvice says what lets a node have a token. A node may ask for tokens of
// the pods that run on it, bound to them, and for audiences that it was
// granted.
func tokenAdvice(r TokenRequest) string {
	grant := fmt.Sprintf("grant group system:nodes the verb request-serviceaccounts-token-audience on the resource %q of the core API group", r.Audience)
	if r.PodName == "" {
		return "a node gets tokens for its own pods alone: give --pod NAMESPACE/NAME of one that runs here; for the audience, " + grant
	}
	return grant
}
