package analyze

import "context"

// addTopics adds what the collectors beside tcp recorded. Each topic reads its
// own tables and fills its own parts of a; none looks at another's.
func (r *run) addTopics(ctx context.Context, a *Analysis) error {
	for _, topic := range []func(context.Context, *Analysis) error{
		// One line a topic.
		r.addCPU,
		r.addFlames,
		r.addDisks,
		r.addNetwork,
		r.addLimits,
	} {
		if err := topic(ctx, a); err != nil {
			return err
		}
	}
	return nil
}
