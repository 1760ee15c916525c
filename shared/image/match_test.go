package image_test

import (
	"testing"

	"regcred/shared/image"
)

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern, image string
		want           bool
	}{
		{"*.dkr.ecr.*.amazonaws.com", "123456789012.dkr.ecr.us-east-1.amazonaws.com/app", true},
		{"*.dkr.ecr.*.amazonaws.com", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app", false},
		{"*.dkr-ecr.*.on.aws", "123456789012.dkr-ecr.us-east-1.on.aws/app", true},
		{"*.azurecr.io", "myreg.azurecr.io/a/b", true},
		{"*.azurecr.io", "myreg.eastus.geo.azurecr.io/a", false},
		{"*.azurecr.*", "myreg.azurecr.cn/a", true},
		{"gcr.io", "us.gcr.io/p/i", false},
		{"*.gcr.io", "us.gcr.io/p/i", true},
		{"*.gcr.io", "gcr.io/p/i", false},
		{"*-docker.pkg.dev", "us-docker.pkg.dev/p/r/i", true},
		{"*.io", "registry.k8s.io/pause", false},
		{"*.*.io", "registry.k8s.io/pause", true},
		{"*icr.io", "us.icr.io/a", false},
		{"registry.io:8080/path", "registry.io:8080/path/img", true},
		{"registry.io:8080/path", "registry.io:8080/pathology/img", true},
		{"registry.io:8080/path/", "registry.io:8080/pathology/img", false},
		{"registry.io", "registry.io:8080/img", false},
		{"registry.io:443", "registry.io/img", false},
		{"registry.io/*", "registry.io/a/img", false},
		{"registry.io/", "registry.io/a", true},
		{"https://gcr.io", "gcr.io/a", false},
		{"docker.io", "docker.io/library/busybox", true},
		{"*.docker.io", "docker.io/library/busybox", false},
		{"*", "gcr.io/a", false},
		{"*.*", "gcr.io/a", true},
		{"*:5000", "localhost:5000/img", true},
		{"Gcr.io", "gcr.io/a", false},
		{"a?.example.com", "ab.example.com/a", false},
		{"[2001:db8::1]:5000", "[2001:db8::1]:5000/a", true},
		{"[2001:db8::1]", "[2001:db8::1]:5000/a", false},
		{"[2001:db8::1]", "[2001:db8::1]/a", false},
		{"10.0.0.*", "10.0.0.9/a", true},
	} {
		if got, err := image.Match(tc.pattern, tc.image); err != nil || got != tc.want {
			t.Errorf("%s ~ %s: got %t, %v", tc.pattern, tc.image, got, err)
		}
	}
	for _, pattern := range []string{"registry.io:*", "%zz", "a b"} {
		if got, err := image.Match(pattern, "registry.io/a"); err == nil {
			t.Errorf("%s: got %t", pattern, got)
		}
	}
}
