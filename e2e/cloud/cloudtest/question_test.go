package cloudtest

import (
	"maps"
	"testing"

	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
	strictjson "sigs.k8s.io/json"
)

// A question is written as the kubelet's own type is read.
func TestARequestIsTheKubelets(t *testing.T) {
	q := Question{Image: "registry.example.com/app", Token: "token", Annotations: map[string]string{"a": "b"}}
	var request credentialprovider.CredentialProviderRequest
	strict, err := strictjson.UnmarshalStrict(q.Request(), &request)
	if err != nil || len(strict) != 0 {
		t.Fatal(err, strict)
	}
	if request.Kind != "CredentialProviderRequest" || request.APIVersion != credentialprovider.SchemeGroupVersion.String() ||
		request.Image != q.Image || request.ServiceAccountToken != q.Token || !maps.Equal(request.ServiceAccountAnnotations, q.Annotations) {
		t.Errorf("the kubelet's type has %+v", request)
	}
}
