package main

import (
	"fmt"
	"sync"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"regcred/e2e/kubelet/wire"
)

// cluster answers the two questions kubelet asks the API server on behalf of a
// plugin that wants a service account's token.
type cluster struct {
	accounts map[types.NamespacedName]wire.ServiceAccount

	mu   sync.Mutex
	pods map[types.UID]wire.Pod
}

func newCluster(accounts []wire.ServiceAccount) *cluster {
	c := &cluster{
		accounts: map[types.NamespacedName]wire.ServiceAccount{},
		pods:     map[types.UID]wire.Pod{},
	}
	for _, account := range accounts {
		c.accounts[types.NamespacedName{Namespace: account.Namespace, Name: account.Name}] = account
	}
	return c
}

// admit makes the pods known that lookups are for.
func (c *cluster) admit(lookups []wire.Lookup) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range lookups {
		c.pods[types.UID(l.Pod.UID)] = l.Pod
	}
}

func (c *cluster) pod(uid types.UID) (wire.Pod, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pod, known := c.pods[uid]
	return pod, known
}

// serviceAccount is `get serviceaccount`.
func (c *cluster) serviceAccount(namespace, name string) (*core.ServiceAccount, error) {
	account, known := c.accounts[types.NamespacedName{Namespace: namespace, Name: name}]
	if !known {
		return nil, apierrors.NewNotFound(core.Resource("serviceaccounts"), name)
	}
	return &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{
		Namespace:   account.Namespace,
		Name:        account.Name,
		UID:         types.UID(account.UID),
		Annotations: account.Annotations,
	}}, nil
}

// token is `create serviceaccounts/token`. Like the API server it refuses to
// bind to a pod of another service account, and an audience that the node was
// not authorised for.
func (c *cluster) token(namespace, name string, request *authentication.TokenRequest) (*authentication.TokenRequest, error) {
	account, err := c.serviceAccount(namespace, name)
	if err != nil {
		return nil, err
	}
	tokens := core.Resource("serviceaccounts/token")
	if request.UID != account.UID {
		return nil, apierrors.NewConflict(tokens, name,
			fmt.Errorf("the UID in the token request (%s) does not match the UID of the service account (%s)", request.UID, account.UID))
	}
	pod, known := c.pod(request.Spec.BoundObjectRef.UID)
	if !known || pod.Namespace != namespace || pod.ServiceAccount != name {
		return nil, apierrors.NewForbidden(tokens, name, fmt.Errorf("no pod %q runs as it", request.Spec.BoundObjectRef.Name))
	}
	if len(request.Spec.Audiences) != 1 {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("kubelet asked for the audiences %q", request.Spec.Audiences))
	}
	token, permitted := pod.Tokens[request.Spec.Audiences[0]]
	if !permitted {
		return nil, apierrors.NewForbidden(tokens, name, fmt.Errorf("audience %q not found in pod spec volume", request.Spec.Audiences[0]))
	}
	answer := request.DeepCopy()
	answer.Status.Token = token
	return answer, nil
}
