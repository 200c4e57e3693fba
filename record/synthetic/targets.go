package synthetic

import "fmt"

// serviceOf gives a service by its name, or draws one that another calls; clients
// alone call the first.
func (w *world) serviceOf(name string) *service {
	if i := w.s.Graph.index(name); i >= 0 {
		return w.services[i]
	}
	if len(w.services) == 1 {
		return w.services[0]
	}
	return w.services[1+w.rng.IntN(len(w.services)-1)]
}

// usesDisk says whether a service reads or writes.
func usesDisk(s *service) bool { return s.spec.Reads+s.spec.Writes > 0 }

// nodeOf gives a node by its number, or draws one: for faults of disks one with a
// service that uses it, else one with any service.
func (w *world) nodeOf(number int, kind string) *node {
	if number > 0 {
		return w.nodes[number-1]
	}
	var fit []*node
	for _, s := range w.services {
		if (kind == "limping-disk" || kind == "limplock") && !usesDisk(s) {
			continue
		}
		for _, i := range s.instances {
			fit = append(fit, i.node)
		}
	}
	if len(fit) == 0 {
		return w.nodes[w.rng.IntN(len(w.nodes))]
	}
	return fit[w.rng.IntN(len(fit))]
}

// victim gives an instance: of the service and on the node that were given, or
// one that is drawn.
func (w *world) victim(f *Fault) (*instance, error) {
	var fit []*instance
	for _, s := range w.services {
		if f.Service != "" && s.spec.Name != f.Service || f.Kind == "io-limit" && s.spec.Reads == 0 {
			continue
		}
		for _, i := range s.instances {
			if f.Node == 0 || i.node.index == f.Node-1 {
				fit = append(fit, i)
			}
		}
	}
	if len(fit) == 0 {
		return nil, fmt.Errorf("%s: no service %s that it can befall is on %s%d", f.Kind, f.Service, nodePrefix, f.Node)
	}
	return fit[w.rng.IntN(len(fit))], nil
}

// pathOf gives two nodes that talk to each other.
func (w *world) pathOf(f *Fault) (a, b *node) {
	if f.Node > 0 && f.Peer > 0 && f.Node != f.Peer {
		return w.nodes[f.Node-1], w.nodes[f.Peer-1]
	}
	var fit [][2]*node
	for _, s := range w.services {
		for _, from := range s.instances {
			for _, callee := range s.callees {
				for _, to := range callee.instances {
					if from.node != to.node && (f.Node == 0 || from.node.index == f.Node-1) {
						fit = append(fit, [2]*node{from.node, to.node})
					}
				}
			}
		}
	}
	if len(fit) == 0 {
		return w.nodes[0], w.nodes[1]
	}
	pair := fit[w.rng.IntN(len(fit))]
	return pair[0], pair[1]
}
