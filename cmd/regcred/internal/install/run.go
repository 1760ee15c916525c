package install

import (
	"context"
	"errors"
	"fmt"
	"time"

	"regcred/cmd/regcred/internal/change"
)

// Run is how a plan is carried out.
type Run struct {
	Store *change.Store
	Now   time.Time

	// Service is restarted if the kubelet has to be. Nil means that somebody
	// else does that.
	Service *Service

	// Limit is how long the kubelet may take to come back.
	Limit time.Duration

	// Pending means that the kubelet does not know yet of what was changed
	// before.
	Pending bool

	// Say tells people what goes on.
	Say func(string)
}

// RolledBackError says that the kubelet did not come back, and everything is as
// it was before.
type RolledBackError struct {
	Cause error

	// Kubelet is why it does not run with the former configuration either, or
	// nil.
	Kubelet error
	Unit    string
}

func (e *RolledBackError) Error() string {
	text := fmt.Sprintf("%v: all changes were taken back", e.Cause)
	if e.Kubelet != nil {
		return fmt.Sprintf("%s, but the kubelet does not run with the former configuration either: %v (see journalctl -u %s)", text, e.Kubelet, e.Unit)
	}
	return fmt.Sprintf("%s, and the kubelet runs with the former configuration (see journalctl -u %s)", text, e.Unit)
}

// Unwrap returns the cause.
func (e *RolledBackError) Unwrap() error { return e.Cause }

// Apply carries a plan out. It reports whether the kubelet was restarted.
func (r *Run) Apply(ctx context.Context, plan *Plan) (restarted bool, err error) {
	restart := r.Service != nil && (plan.Restart || r.Pending)
	if plan.Empty() && !restart {
		return false, nil
	}
	if plan.Empty() {
		r.Say("restarting " + r.Service.Unit)
		return true, r.Service.Restart(ctx, true, r.Limit)
	}
	if err := ctx.Err(); err != nil {
		return false, errors.New("interrupted")
	}
	var confirm func() error
	if restart {
		confirm = func() error {
			restarted = true
			r.Say("restarting " + r.Service.Unit)
			return r.Service.Restart(ctx, plan.Reload || r.Pending, r.Limit)
		}
	}
	err = r.Store.Apply(plan.Set, r.Now, confirm)
	undone, ok := errors.AsType[*change.UndoneError](err)
	if !ok || !restarted {
		return restarted, err
	}
	r.Say("the former configuration is back: restarting " + r.Service.Unit + " again")
	// Whoever interrupts the wait does not want a node without a kubelet.
	return true, &RolledBackError{undone.Cause, r.Service.Restart(context.WithoutCancel(ctx), plan.Reload, r.Limit), r.Service.Unit}
}
