package cluster

import (
	"strings"

	"sigs.k8s.io/yaml"
)

// AudienceVerb is what a node needs for an audience that its pods' volumes do
// not have.
const AudienceVerb = "request-serviceaccounts-token-audience"

// AudienceRole is what lets all nodes request tokens for audiences, and for no
// others that were granted before under its name.
func AudienceRole(audiences []string) string {
	var list strings.Builder
	for _, audience := range audiences {
		line, _ := yaml.Marshal([]string{audience}) // a string always encodes
		list.WriteString("  " + string(line))
	}
	return `# Nodes may request tokens of pods' service accounts for these audiences, which the
# kubelet's credential providers exchange for logins. resourceNames bounds the rule to
# service accounts of these names, and a Role with a RoleBinding to a namespace.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: kubelet-image-credentials
rules:
- apiGroups: [""]
  resources:
` + list.String() + `  verbs: ["` + AudienceVerb + `"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: kubelet-image-credentials
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: kubelet-image-credentials
subjects:
- apiGroup: rbac.authorization.k8s.io
  kind: Group
  name: system:nodes
`
}
