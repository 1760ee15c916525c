package registry

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
)

// ECR is the login of private registries: user AWS with a password of the
// host's region, shown with every request, for a role that may read the
// repository. Clock is the registry's time.
func ECR(fake *aws.Fake, policies *Policies, clock func() time.Time) Login {
	return func(x *cloud.Exchange, r *cloud.Request, repository string) error {
		user, password, shown := r.BasicAuth()
		if !shown {
			return challenge(x, fmt.Sprintf(`Basic realm="https://%s/",service="ecr.amazonaws.com"`, r.Host))
		}
		token, issued := fake.Token(password)
		switch account, region := placeOf(r.Host); {
		case user != "AWS" || !issued || token.Service != "ecr" || token.Region != region:
			return denied(http.StatusBadRequest, "Your Authorization Token is invalid.")
		case !clock().Before(token.Expires):
			return denied(http.StatusForbidden, "Your authorization token has expired. Reauthenticate and try again.")
		case repository != "" && !policies.allows(r.Host+"/"+repository, token.Principal.Role):
			return denied(http.StatusForbidden,
				"User: %s is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:%s:%s:repository/%s",
				token.Principal.ARN, region, account, repository)
		default:
			return nil
		}
	}
}

// placeOf reads ACCOUNT.dkr.ecr.REGION.amazonaws.com.
func placeOf(host string) (account, region string) {
	labels := strings.Split(host, ".")
	if len(labels) < 4 {
		return "", ""
	}
	return labels[0], labels[3]
}

// ECRPublic is the login of the public registry: everybody may read it, but
// nobody who shows the password of another registry.
func ECRPublic(fake *aws.Fake, clock func() time.Time) Login {
	login := &Bearer{
		Realm:   "/token/",
		Service: "public.ecr.aws",
		Scope:   "aws",
		Identify: func(user, password string, shown bool) (string, error) {
			if !shown {
				return "anybody", nil
			}
			token, issued := fake.Token(password)
			if user != "AWS" || !issued || token.Service != "ecr-public" || !clock().Before(token.Expires) {
				return "", denied(http.StatusBadRequest, "Your Authorization Token is invalid.")
			}
			return token.Principal.ARN, nil
		},
		Admit: func(string, string) error { return nil },
	}
	return login.Login
}
