package cluster

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// Access is something that the caller may do or not.
type Access struct {
	Namespace   string `json:"namespace,omitempty"`
	Verb        string `json:"verb,omitempty"`
	Group       string `json:"group,omitempty"`
	Resource    string `json:"resource,omitempty"`
	Subresource string `json:"subresource,omitempty"`
	Name        string `json:"name,omitempty"`
}

// May asks whether the caller may do something, and why.
func (c *Client) May(ctx context.Context, a Access) (allowed bool, reason string, err error) {
	type spec struct {
		Attributes Access `json:"resourceAttributes"`
	}
	return c.review(ctx, "SelfSubjectAccessReview", "selfsubjectaccessreviews", a, spec{a})
}

// MayUser asks whether somebody else may do something, and why.
func (c *Client) MayUser(ctx context.Context, user string, groups []string, a Access) (allowed bool, reason string, err error) {
	type spec struct {
		User       string   `json:"user"`
		Groups     []string `json:"groups"`
		Attributes Access   `json:"resourceAttributes"`
	}
	return c.review(ctx, "SubjectAccessReview", "subjectaccessreviews", a, spec{user, groups, a})
}

// review asks whether somebody may do something.
func (c *Client) review(ctx context.Context, kind, resource string, a Access, spec any) (allowed bool, reason string, err error) {
	review := map[string]any{"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
	var answer struct {
		Status struct {
			Allowed         bool   `json:"allowed"`
			Reason          string `json:"reason"`
			EvaluationError string `json:"evaluationError"`
		} `json:"status"`
	}
	err = c.Call(ctx, fmt.Sprintf("ask whether %s of %s is allowed", a.Verb, a.Resource), http.MethodPost,
		"/apis/authorization.k8s.io/v1/"+resource, review, &answer)
	reason = answer.Status.Reason
	if reason == "" {
		reason = answer.Status.EvaluationError
	}
	return answer.Status.Allowed, reason, err
}

// User is whom the API server takes the caller for.
func (c *Client) User(ctx context.Context) (string, error) {
	var answer struct {
		Status struct {
			UserInfo struct {
				Username string `json:"username"`
			} `json:"userInfo"`
		} `json:"status"`
	}
	err := c.Call(ctx, "ask who the caller is", http.MethodPost, "/apis/authentication.k8s.io/v1/selfsubjectreviews",
		map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}, &answer)
	return answer.Status.UserInfo.Username, err
}

// maxPods bounds how many pods of a node are looked at: the kubelet's own bound
// is 110 unless it is changed.
const maxPods = "500"

// Pods are the pods of a node.
func (c *Client) Pods(ctx context.Context, node string) ([]Pod, error) {
	query := url.Values{"fieldSelector": {"spec.nodeName=" + node}, "limit": {maxPods}}
	var answer struct {
		Items []Pod `json:"items"`
	}
	err := c.Call(ctx, "list the pods of node "+node, http.MethodGet, "/api/v1/pods?"+query.Encode(), nil, &answer)
	return answer.Items, err
}

// Accounts are the service accounts of the pods of a node, as namespace/name.
func (c *Client) Accounts(ctx context.Context, node string) ([]string, error) {
	pods, err := c.Pods(ctx, node)
	if err != nil {
		return nil, err
	}
	var accounts []string
	for _, pod := range pods {
		account := pod.Meta.Namespace + "/" + pod.Spec.ServiceAccountName
		if pod.Spec.ServiceAccountName != "" && !slices.Contains(accounts, account) {
			accounts = append(accounts, account)
		}
	}
	slices.Sort(accounts)
	return accounts, nil
}
