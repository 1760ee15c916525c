package aws

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"regcred/e2e/cloud"
)

const rolesPath = "/latest/meta-data/iam/security-credentials/"

// IMDS is the instance metadata service, version 2: everything but a token is
// only for who shows one.
//
// Its operations are PutToken, ListRoles, GetRole, GetRegion, GetIdentity and,
// for any other path, GetMetadata.
func (f *Fake) IMDS() http.Handler {
	return f.Front(&cloud.Service{
		Name:      "imds",
		Operation: imdsOperation,
		Answer:    f.answerIMDS,
		Refuse: func(refusal cloud.Refusal) (string, []byte) {
			return "text/html", fmt.Appendf(nil, "<html><head><title>%d - %s</title></head></html>\n", refusal.Status, refusal.Code)
		},
	})
}

func imdsOperation(r *cloud.Request) string {
	switch path := r.URL.Path; {
	case path == "/latest/api/token":
		return "PutToken"
	case path == rolesPath || path+"/" == rolesPath:
		return "ListRoles"
	case strings.HasPrefix(path, rolesPath):
		return "GetRole"
	case path == "/latest/meta-data/placement/region":
		return "GetRegion"
	case path == "/latest/dynamic/instance-identity/document":
		return "GetIdentity"
	default:
		return "GetMetadata"
	}
}

func (f *Fake) answerIMDS(x *cloud.Exchange, r *cloud.Request) error {
	instance := f.Current().Instance
	if instance.Disabled {
		return imdsRefusal(http.StatusForbidden, "Forbidden")
	}
	x.Header().Set("Content-Type", "text/plain")
	x.Header().Set("Server", "EC2ws")
	operation := imdsOperation(r)
	if operation == "PutToken" {
		return f.putToken(x, r, instance)
	}
	if r.Method != http.MethodGet {
		return imdsFormRefusal(http.StatusMethodNotAllowed, "Method Not Allowed")
	}
	if err := f.checkMetadataToken(r.Header.Get("X-Aws-Ec2-Metadata-Token")); err != nil {
		return err
	}
	return f.getMetadata(x, strings.TrimPrefix(r.URL.Path, rolesPath), operation, instance)
}

func (f *Fake) getMetadata(x *cloud.Exchange, name, operation string, instance InstanceSettings) error {
	region := instance.Region
	if region == "" {
		region = "us-east-1"
	}
	switch operation {
	case "ListRoles":
		return f.listRoles(x, instance)
	case "GetRole":
		return f.getRole(x, name, instance)
	case "GetRegion":
		_, err := x.Write([]byte(region))
		return err
	case "GetIdentity":
		return answerIndented(x, map[string]any{
			"accountId":        arnField(instance.Role, 4),
			"architecture":     "x86_64",
			"availabilityZone": region + "a",
			"instanceId":       instanceID,
			"instanceType":     "m7i.large",
			"region":           region,
			"version":          "2017-09-30",
		})
	default:
		return imdsRefusal(http.StatusNotFound, "Not Found")
	}
}

func answerIndented(x *cloud.Exchange, document any) error {
	encoder := json.NewEncoder(x)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

func imdsRefusal(status int, title string) error {
	return cloud.Refusal{Status: status, Code: title}
}

func imdsFormRefusal(status int, title string) error {
	return cloud.Refusal{Status: status, Code: title, Form: true}
}
