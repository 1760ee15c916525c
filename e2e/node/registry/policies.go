package registry

import "sync"

// Policies says who may read which repositories. The zero value lets nobody
// read anything.
type Policies struct {
	mu      sync.Mutex
	readers map[string]map[string]bool // by host/repository, and by who
}

// Allow lets somebody, named as the cloud names identities, read a repository,
// written with its host.
func (p *Policies) Allow(repository, who string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readers == nil {
		p.readers = map[string]map[string]bool{}
	}
	if p.readers[repository] == nil {
		p.readers[repository] = map[string]bool{}
	}
	p.readers[repository][who] = true
}

func (p *Policies) allows(repository, who string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.readers[repository][who]
}
