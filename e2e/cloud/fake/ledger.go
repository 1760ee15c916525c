package fake

import (
	"slices"
	"sync"
)

// Ledger is every secret of one kind that a fake has issued, and what it knows
// of each: for whom it is, how long it is good. The zero value is empty, and all
// methods may be used at the same time.
type Ledger[T any] struct {
	mu     sync.Mutex
	issued map[string]T
}

// Add enters a secret.
func (l *Ledger[T]) Add(secret string, known T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.issued == nil {
		l.issued = map[string]T{}
	}
	l.issued[secret] = known
}

// Find returns what is known of a secret; ok is false for one that was never
// entered.
func (l *Ledger[T]) Find(secret string) (known T, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok = l.issued[secret]
	return known, ok
}

// Take is Find for a secret that is good for one use.
func (l *Ledger[T]) Take(secret string) (known T, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok = l.issued[secret]
	delete(l.issued, secret)
	return known, ok
}

// Count is how many of the secrets are such.
func (l *Ledger[T]) Count(such func(T) bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := 0
	for _, known := range l.issued {
		if such(known) {
			count++
		}
	}
	return count
}

// Secrets is all of them, for a search of what was written for any.
func (l *Ledger[T]) Secrets() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for secret := range l.issued {
		all = append(all, secret)
	}
	slices.Sort(all)
	return all
}
