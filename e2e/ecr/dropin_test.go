package ecr_test

import (
	"testing"

	"regcred/e2e/cloud/aws"
)

// A flag wins over a variable, that over the file.
func TestTheNearerSettingWins(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	for name, role := range map[string]string{"flag": shopRole, "variable": batchRole, "file": "arn:aws:iam::123456789012:role/of-file"} {
		n.aws.AddRole(aws.Role{ARN: role, Allow: []aws.Action{aws.ECRToken}, Subjects: []string{shop.Subject()}})
		q := n.pod(shop).question(registry+"/app", "--config", configFile(t, "roleARN: arn:aws:iam::123456789012:role/of-file\n"))
		if name != "file" {
			q.Env = []string{"AWS_ECR_ROLE_ARN=" + batchRole}
		}
		if name == "flag" {
			q.Args = append(q.Args, "--role-arn", shopRole)
		}
		n.ask(q).wantCredential(registry, role)
	}
}
