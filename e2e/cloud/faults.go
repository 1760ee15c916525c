package cloud

import (
	"math"
	"sync"
)

// Faults holds what is to go wrong. The zero value lets every call through,
// and all methods may be used at the same time.
type Faults struct {
	mu    sync.Mutex
	plans []*plan
}

type plan struct {
	service, operation string
	left               int // calls still to be struck
	fault              Fault
}

// Always strikes every call of one operation of a service until Clear. An
// empty operation stands for all of them.
func (f *Faults) Always(service, operation string, fault Fault) {
	f.First(math.MaxInt, service, operation, fault)
}

// First strikes the next n calls of one operation of a service. Faults of the
// same operation follow one another in the order they were given in; Slow
// alone lets the next one strike the same call.
func (f *Faults) First(n int, service, operation string, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plans = append(f.plans, &plan{service: service, operation: operation, left: n, fault: fault})
}

// Clear takes all faults back.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plans = nil
}

// strike uses up and returns what strikes one call: any number of Slow, then
// at most one fault that ends it.
func (f *Faults) strike(service, operation string) []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	var struck []Fault
	for _, plan := range f.plans {
		if plan.left == 0 || plan.service != service || plan.operation != "" && plan.operation != operation {
			continue
		}
		plan.left--
		struck = append(struck, plan.fault)
		if _, goesOn := plan.fault.(Slow); !goesOn {
			break
		}
	}
	return struck
}
