package kubelet

import (
	"errors"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"regcred/shared/dockerconfig"
	"regcred/shared/redact"
)

// pattern is an item of matchImages, or the key of a credential, as the kubelet
// reads it: as what follows https:// in a URL.
type pattern struct {
	written string

	// host has the brackets of an IPv6 address if there is no port, and then
	// they are a glob's. labels are its parts.
	host   string
	labels []string
	port   string

	path string

	// user says that there is a user name, and cut that there is a query or a
	// fragment. None of them count.
	user, cut bool
}

// parsePattern fails where the kubelet does, with a cause that has nothing of
// the pattern but a character.
func parsePattern(written string) (pattern, error) {
	parsed, err := url.Parse("https://" + written)
	if err != nil {
		if parse, ok := errors.AsType[*url.Error](err); ok {
			err = parse.Err
		}
		return pattern{}, errors.New(redact.Line(err.Error()))
	}
	host, port, err := net.SplitHostPort(parsed.Host)
	if err != nil {
		host, port = parsed.Host, ""
	}
	return pattern{
		written: written, host: host, labels: strings.Split(host, "."), port: port, path: parsed.Path,
		user: parsed.User != nil, cut: strings.ContainsAny(written, "?#"),
	}, nil
}

// read is what the pattern comes to.
func (p pattern) read() string {
	if p.port == "" {
		return p.host + p.path
	}
	return net.JoinHostPort(p.host, p.port) + p.path
}

// finding is what a look at a pattern came to. The zero value is nothing.
type finding struct {
	level Level
	code  string
	what  string
	fix   string

	// meant is the pattern that whoever wrote it may have had in mind.
	meant string
}

// component is a part of an image's path.
const component = `[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*`

var (
	// pathPrefix is how the path of an image may begin.
	pathPrefix = regexp.MustCompile(`^(?:/` + component + `)*(?:/(?:` + component + `(?:\.|__?|-+)?)?)?$`)

	// tagOrDigest is how a path ends that has one.
	tagOrDigest = regexp.MustCompile(`@|:[\w.-]*$`)

	// label is a part of a host, and globLabel one with globs. No host has an
	// underscore, but the kubelet takes a path that has one for a host.
	label     = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?$`)
	globLabel = regexp.MustCompile(`^[A-Za-z0-9_*\\\[\]^-]+$`)

	oneComponent = regexp.MustCompile(`^/[^/]+$`)
)

// lint finds what a pattern that the kubelet accepts cannot have been meant to
// be. Images are as the kubelet normalises them: those of Docker Hub begin with
// docker.io/library/ or docker.io/USER/.
func (p pattern) lint() finding {
	if f := p.lintForm(); f.code != "" {
		return f
	}
	if f := p.lintHost(); f.code != "" {
		return f
	}
	if f := p.lintPath(); f.code != "" {
		return f
	}
	return p.lintDockerHub()
}

// never is for what matches no image.
func never(code, meant, why string) finding {
	f := finding{level: Warning, code: code, what: noImage + why, meant: meant}
	if meant != "" {
		f.fix = "write " + meant
	}
	return f
}

const noImage = "matches no image: "

// matchesNothing says that no image can match.
func (f finding) matchesNothing() bool { return strings.HasPrefix(f.what, noImage) }

func (p pattern) lintForm() finding {
	if p.user {
		return finding{level: Warning, code: "pattern-user", what: "has a user name, which counts for nothing", fix: "write " + p.read(), meant: p.read()}
	}
	if scheme, rest, found := strings.Cut(p.written, "://"); found {
		return never("pattern-scheme", rest, "it is read as one for the host "+scheme)
	}
	if p.cut {
		return finding{
			level: Warning, code: "pattern-query", what: "counts up to the question mark or number sign alone: it is read as " + p.read(),
			fix: "write one star for any part of a host, and nothing for any path", meant: strings.NewReplacer("?", "*", "#", "*").Replace(p.written),
		}
	}
	return finding{}
}

func (p pattern) lintHost() finding {
	if strings.ContainsRune(p.host, ':') {
		if p.port != "" {
			return finding{}
		}
		f := never("pattern-ipv6", "", "without a port the brackets of an IPv6 address are a glob's")
		f.fix = "write a port, in images too"
		return f
	}
	upper := false
	for _, part := range p.labels {
		_, err := filepath.Match(part, "x")
		glob := strings.ContainsAny(part, globs)
		switch {
		case part == "":
			return never("pattern-host", "", "a part of its host is empty")
		case err != nil:
			return never("pattern-glob", "", "a glob in its host is not complete")
		case !glob && !label.MatchString(part), glob && !globLabel.MatchString(part):
			return never("pattern-host", "", "its host cannot be that of an image")
		}
		upper = upper || strings.ToLower(part) != part
	}
	if upper {
		lower := p
		lower.host = strings.ToLower(p.host)
		return finding{
			level: Warning, code: "pattern-host-case", what: "matches images alone whose host has the same capital letters",
			fix: "write " + lower.read(), meant: lower.read(),
		}
	}
	return finding{}
}

// globs are what makes a part of a host a glob.
const globs = `*[\`

func (p pattern) lintPath() finding {
	meant := p
	switch {
	case strings.ContainsAny(p.path, "*[?"):
		meant.path = strings.TrimSuffix(p.path[:strings.IndexAny(p.path, "*[?")], "/")
		return never("pattern-path-glob", meant.read(), "globs are for the parts of a host, and a path counts as it is written")
	case tagOrDigest.MatchString(p.path):
		meant.path = p.path[:strings.IndexAny(p.path, "@:")]
		return never("pattern-tag", meant.read(), "the kubelet cuts tags and digests off images")
	case strings.ToLower(p.path) != p.path:
		meant.path = strings.ToLower(p.path)
		return never("pattern-path-case", meant.read(), "the path of an image has no capital letters")
	case !pathPrefix.MatchString(p.path):
		return never("pattern-path", "", "its path cannot be that of an image")
	}
	return finding{}
}

func (p pattern) lintDockerHub() finding {
	one := len(p.labels) == 1 && p.port == ""
	meant := p
	switch {
	case p.port == "" && p.host == dockerconfig.Hub:
		meant.host = hub
		return never("pattern-docker-hub", meant.read(), "images of Docker Hub are those of docker.io")
	case one && strings.ContainsAny(p.host, globs):
		return finding{
			level: Warning, code: "pattern-one-label", what: "matches hosts of one part alone, such as localhost",
			fix: "write a star for each part of a host: *.* and *.*.*",
		}
	case one && p.host != "localhost" && strings.ToLower(p.host) == p.host:
		meant.host, meant.path = hub, "/"+p.host+p.path
		return never("pattern-docker-hub", meant.read(), "where the first part of an image has neither dot nor port it is one of Docker Hub")
	case strings.HasSuffix(p.host, "."+hub), p.host == "hub.docker.com", p.host == "registry.hub.docker.com":
		meant.host = hub
		return finding{
			level: Warning, code: "pattern-docker-hub", what: "is not for images of Docker Hub, which are those of docker.io",
			fix: "write " + meant.read(), meant: meant.read(),
		}
	case p.host == hub && p.port == "" && oneComponent.MatchString(p.path) && !strings.HasPrefix(library, p.path):
		meant.path = library + p.path
		return finding{
			level: Warning, code: "pattern-docker-library", what: "is for users of that name, and not for the official image",
			fix: "write " + meant.read() + " for that, or " + p.read() + "/ for the user", meant: meant.read(),
		}
	case p.port == "443":
		return finding{
			level: Info, code: "pattern-port", what: "matches images alone that are written with the port",
			fix: "list the host without port too",
		}
	case p.path != "" && !strings.HasSuffix(p.path, "/"):
		return finding{
			level: Info, code: "pattern-path-prefix", what: "matches whatever begins so, such as " + p.read() + "-other",
			fix: "end it with a slash to keep to what is below",
		}
	}
	return finding{}
}

const (
	// hub is the registry of Docker Hub's images, and library the path of the
	// official ones.
	hub     = "docker.io"
	library = "/library"
)
