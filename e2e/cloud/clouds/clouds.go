// Package clouds lists the fake clouds, for what is the same for each of them.
package clouds

import (
	"fmt"
	"strings"

	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/gcp"
	"regcred/e2e/cloud/ibm"
	"regcred/e2e/cloud/oracle"
)

// All is every cloud, in the order in which people are told of them.
func All() []fake.Kind {
	return []fake.Kind{aws.Kind(), gcp.Kind(), azure.Kind(), oracle.Kind(), ibm.Kind()}
}

// Find returns the cloud that people call so, in any case. The error lists the
// names that there are.
func Find(name string) (fake.Kind, error) {
	var names []string
	for _, kind := range All() {
		if strings.EqualFold(kind.Name, name) {
			return kind, nil
		}
		names = append(names, kind.Name)
	}
	return fake.Kind{}, fmt.Errorf("no cloud %q: there are %s", name, strings.Join(names, ", "))
}
