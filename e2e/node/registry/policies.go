package registry

import "sync"

// Everybody is the owner of no credential.
const Everybody = "everybody"

// Policies says who may read which repositories. The zero value lets nobody
// read anything.
type Policies struct {
	mu      sync.Mutex
	readers map[string]map[string]bool // by host/repository, and by owner
}

// Allow lets the owner of a credential read a repository, written with its host.
// What everybody may read, each owner may.
func (p *Policies) Allow(repository, owner string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readers == nil {
		p.readers = map[string]map[string]bool{}
	}
	if p.readers[repository] == nil {
		p.readers[repository] = map[string]bool{}
	}
	p.readers[repository][owner] = true
}

func (p *Policies) allows(repository, owner string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.readers[repository][owner] || p.readers[repository][Everybody]
}
