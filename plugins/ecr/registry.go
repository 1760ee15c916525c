package ecr

import (
	"slices"
	"strings"

	"regcred/shared/image"
)

// registry is a host of Amazon ECR, taken apart.
//
// Private registries come in two shapes, where an account is exactly twelve
// digits:
//
//	ACCOUNT.dkr.ecr[-fips].REGION.SUFFIX   IPv4
//	ACCOUNT.dkr-ecr[-fips].REGION.SUFFIX   IPv4 and IPv6 ("dual-stack"), with other suffixes
//
// What follows the host is never looked at: a pull-through cache serves images
// under paths that contain other registries' names.
type registry struct {
	public    bool
	account   string
	region    string
	partition string
	fips      bool
	dualStack bool
}

// publicRegion is where the API of the public registry is, for everybody.
const publicRegion = "us-east-1"

// partition is a part of AWS with domains and identities of its own.
type partition struct {
	name string
	// prefix begins the name of every region of the partition. It is empty
	// for the commercial one, which has all regions that no other has.
	prefix string
	// classic and dualStack are what follows the region in a host.
	classic   string
	dualStack []string
}

// partitions are AWS's. Regions are not listed: new ones appear several times
// a year, and a registry in one has to work on the day it opens. The
// dual-stack suffixes of aws-eusc and of the aws-iso partitions are not
// documented for registries; those here follow Amazon's own ECS agent.
var partitions = []partition{
	{"aws-us-gov", "us-gov-", "amazonaws.com", []string{"on.aws"}},
	{"aws-cn", "cn-", "amazonaws.com.cn", []string{"on.amazonwebservices.com.cn"}},
	{"aws-eusc", "eusc-", "amazonaws.eu", []string{"on.amazonwebservices.eu", "amazonwebservices.eu"}},
	{"aws-iso", "us-iso-", "c2s.ic.gov", []string{"on.aws.ic.gov"}},
	{"aws-iso-b", "us-isob-", "sc2s.sgov.gov", []string{"on.aws.scloud"}},
	{"aws-iso-e", "eu-isoe-", "cloud.adc-e.uk", []string{"on.cloud-aws.adc-e.uk"}},
	{"aws-iso-f", "us-isof-", "csp.hci.ic.gov", []string{"on.aws.hci.ic.gov"}},
	{"aws", "", "amazonaws.com", []string{"on.aws"}},
}

// parseRegistry reports whether a registry is ECR's, and which. The whole host
// has to fit: what only begins, ends or looks like ECR is somebody else's.
func parseRegistry(r image.Registry) (registry, bool) {
	if !r.DefaultPort() {
		return registry{}, false
	}
	switch r.Host() {
	case "public.ecr.aws":
		return registry{public: true, region: publicRegion, partition: "aws"}, true
	case "ecr-public.aws.com":
		return registry{public: true, region: publicRegion, partition: "aws", dualStack: true}, true
	}
	account, rest, _ := strings.Cut(r.Host(), ".")
	if !isAccount(account) {
		return registry{}, false
	}
	p := registry{account: account}
	for _, shape := range []struct {
		prefix          string
		fips, dualStack bool
	}{
		{"dkr.ecr.", false, false},
		{"dkr.ecr-fips.", true, false},
		{"dkr-ecr.", false, true},
		{"dkr-ecr-fips.", true, true},
	} {
		end, ok := strings.CutPrefix(rest, shape.prefix)
		if !ok {
			continue
		}
		region, suffix, _ := strings.Cut(end, ".")
		p.fips, p.dualStack, p.region = shape.fips, shape.dualStack, region
		p.partition, ok = partitionOf(region, suffix, shape.dualStack)
		return p, ok
	}
	return registry{}, false
}

// partitionOf returns the partition that a region belongs to, if hosts there
// end in the suffix.
func partitionOf(region, suffix string, dualStack bool) (string, bool) {
	if !isRegion(region) {
		return "", false
	}
	for _, p := range partitions {
		if !strings.HasPrefix(region, p.prefix) {
			continue
		}
		if !dualStack {
			return p.name, suffix == p.classic
		}
		return p.name, slices.Contains(p.dualStack, suffix)
	}
	return "", false
}

// isPartition reports whether s is the name of a partition.
func isPartition(s string) bool {
	return slices.ContainsFunc(partitions, func(p partition) bool { return p.name == s })
}

// isAccount reports whether s is an account's number. Leading zeros count.
func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// isRegion reports whether s reads like a region: two or more words and a
// number, as in ap-southeast-7 or us-gov-west-1.
func isRegion(s string) bool {
	words := strings.Split(s, "-")
	if len(words) < 3 || len(s) > 63 {
		return false
	}
	for i, word := range words {
		letters, digits := "abcdefghijklmnopqrstuvwxyz", "0123456789"
		allowed := letters
		if i == len(words)-1 {
			allowed = digits
		}
		if word == "" || strings.Trim(word, allowed) != "" {
			return false
		}
	}
	return true
}

// String says which registry it is, and where.
func (r registry) String() string {
	if r.public {
		return "the public registry"
	}
	return "registry " + r.account + " in " + r.region
}
