package ecr

import (
	"errors"
	"strings"

	"regcred/shared/settings"
)

// role is the ARN of an IAM role, taken apart. The zero value is no role.
type role struct {
	arn       string
	partition string
	account   string
}

var noRole = role{}

// parseRole reads arn:PARTITION:iam::ACCOUNT:role/PATH. It is strict because
// whoever may edit a service account writes what it reads.
func parseRole(arn string) (role, error) {
	parts := strings.SplitN(arn, ":", 6)
	invalid := errors.New("not the ARN of an IAM role (arn:aws:iam::123456789012:role/name)")
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || parts[3] != "" || !isAccount(parts[4]) {
		return role{}, invalid
	}
	name, ok := strings.CutPrefix(parts[5], "role/")
	if !isPartition(parts[1]) || !ok || name == "" || len(name) > 512+64 || strings.HasSuffix(name, "/") || !settings.IsFrom(name, "+=,.@-_/") {
		return role{}, invalid
	}
	return role{arn: arn, partition: parts[1], account: parts[4]}, nil
}

// isExternalID reports whether IAM allows s as an external ID.
func isExternalID(s string) bool {
	return len(s) >= 2 && len(s) <= 1224 && settings.IsFrom(s, "+=,.@:/-_")
}
