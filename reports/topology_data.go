package reports

// pack packs the topology for assets/topology.js, which opens groups and narrows
// the drawing; "": there is nothing to draw.
func (d *drawing) pack(rows windowRefs) string {
	if len(d.Nodes) == 0 {
		return ""
	}
	var p packer
	p.number(int64(len(d.slots)))
	for i := range d.slots {
		s := &d.slots[i]
		name, detail := "", ""
		if len(s.members) > 1 {
			name, detail = groupName(s), groupDetail(&d.graph, s)
		}
		p.text(name)
		p.text(detail)
		p.text(s.why)
	}
	p.number(int64(len(d.Nodes)))
	for i := range d.Nodes {
		n := &d.Nodes[i]
		p.text(nameText(n.Name))
		p.text(n.detail())
		p.text(d.anchor(n))
		flags := int64(0)
		if n.External {
			flags |= 1
		}
		if n.Tone == toneBad {
			flags |= 2
		}
		if n.Requests > 0 {
			flags |= 4
		}
		p.number(flags)
		p.number(int64(d.slotOf[i]))
		p.number(int64(rows.services[n.Name]))
	}
	p.number(int64(len(d.layers)))
	for _, ids := range d.layers {
		column64(&p, ids, func(_ int, id int) int64 { return int64(id) })
	}
	lines := d.lines[:len(d.paths)]
	p.number(int64(len(lines)))
	for i := range lines {
		p.number(int64(lines[i].from))
		p.number(int64(lines[i].to))
		column64(&p, d.paths[i], func(_ int, id int) int64 { return int64(id) })
	}
	p.number(int64(len(d.Edges)))
	for i := range d.Edges {
		e := &d.Edges[i]
		first, second := e.labelLines()
		p.number(int64(e.From))
		p.number(int64(e.To))
		p.number(int64(1000 * (e.Edge.RatePerS + e.Edge.Streams.RatePerS)))
		p.number(int64(lookOf(&e.Edge)))
		p.text(first)
		p.text(second)
		p.text(edgeTitle(&d.graph, e))
		p.number(int64(rows.edges[edgeRef{e.Edge.Client, e.Edge.Server, e.Edge.ServerPort}]))
	}
	text, err := p.pack()
	if err != nil {
		return "" // writing to memory does not fail
	}
	return text
}

// groupsTable lists the members of every group.
func groupsTable(d *drawing) table {
	type member struct {
		group *slot
		node  *graphNode
	}
	var members []member
	for i := range d.slots {
		s := &d.slots[i]
		for _, n := range s.members {
			if len(s.members) > 1 {
				members = append(members, member{s, &d.Nodes[n]})
			}
		}
	}
	return build("groups", "Members of the groups", members, []spec[member]{
		{column{Head: "Service", Kind: kindName}, func(m *member) cell { return named(m.node.Name) }},
		{column{Head: "Group", Kind: kindName}, func(m *member) cell { return named(m.group.name) }},
		number("Rate", "requests served a second", 0, func(m *member) cell { return cell{Text: m.node.Rate} }),
		number("p99", "of the requests it served", 0, func(m *member) cell { return cell{Text: m.node.P99} }),
		{column{Head: "In common", Kind: kindProse}, func(m *member) cell { return word(m.group.why) }},
	})
}
