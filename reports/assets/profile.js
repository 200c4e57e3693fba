"use strict";
// The profile: every stack by moment, and the tree of any range of moments.
// Written by reports/html_profile.go.
const kmonProfile = (() => {
  const kinds = ["", "service", "kernel", "user", "state"];

  function readFrames(r) {
    const names = Array.from({ length: r.number() }, () => r.text());
    const modules = Array.from({ length: r.number() }, () => r.text());
    const module = r.column(Int32Array), kind = r.column(Int32Array);
    return names.map((name, i) => ({
      name, module: modules[module[i]], kind: kinds[kind[i] >> 1], approximate: kind[i] % 2 === 1,
    }));
  }

  // readCells gives cells by node: those of node n are first[n] to first[n + 1] of
  // bucket, which ascends, and value, which List can hold.
  function readCells(r, List) {
    const counts = r.column(Int32Array), bucket = r.column(Int32Array), value = r.column(List);
    const first = new Uint32Array(counts.length + 1);
    let buckets = 0;
    for (let n = 0, i = 0; n < counts.length; n++) {
      for (let end = i + counts[n], at = 0; i < end; i++) {
        at += bucket[i]; // the distance so far
        bucket[i] = at;
        if (at >= buckets) buckets = at + 1;
      }
      first[n + 1] = i;
    }
    return { first, bucket, value, buckets };
  }

  // place is that of the first of a sorted list's items from begin to before end that is
  // not below least.
  function place(list, begin, end, least) {
    while (begin < end) {
      const middle = (begin + end) >> 1;
      if (list[middle] < least) begin = middle + 1;
      else end = middle;
    }
    return begin;
  }

  class Profile {
    constructor(r) {
      this.startMs = r.number() * 1e3;
      this.startMs += r.number() / 1e6;
      this.bucketNs = r.number();
      this.sampleNs = r.number();
      // Time off the CPU is added up by interval, in the bucket it begins in.
      this.step = { on: 1, off: Math.max(1, Math.round(r.number() / this.bucketNs)) };
      this.frames = readFrames(r);
      const up = r.column(Int32Array);
      this.parent = new Int32Array(up.length);
      for (let i = 0; i < up.length; i++) this.parent[i] = up[i] ? i - up[i] : -1;
      this.frame = r.column(Int32Array);
      this.cells = { on: readCells(r, Uint32Array), off: readCells(r, Float64Array) };
      // Detail has the samples of "on" once more, with rarer paths, in wider
      // buckets: so many of the others each.
      this.detail = Math.round(r.number() / this.bucketNs);
      this.cells.detail = readCells(r, Uint32Array);
      this.buckets = Math.max(this.cells.on.buckets, this.cells.off.buckets, 1);
      this.root = new Int32Array(this.parent.length);
      for (let i = 0; i < this.root.length; i++) {
        this.root[i] = this.parent[i] < 0 ? this.frame[i] : this.root[this.parent[i]];
      }
    }

    has(kind) {
      return this.cells[kind].value.length > 0;
    }

    // services are the frames of the roots, the busiest of this kind first.
    services(kind) {
      const cells = this.cells[kind];
      if (cells.services) return cells.services;
      const nodes = new Float64Array(this.parent.length), sums = new Float64Array(this.frames.length);
      this.add(nodes, kind, 0, cells.buckets);
      for (let n = 0; n < nodes.length; n++) sums[this.root[n]] += nodes[n];
      cells.services = Array.from(sums.keys()).filter((frame) => sums[frame] > 0).sort((a, b) => sums[b] - sums[a] || a - b);
      return cells.services;
    }

    // byTime sums the cells of each so many buckets, a list for each of the
    // services; a service is a frame, or -1 for all.
    byTime(kind, services, step) {
      const { first, bucket, value } = this.cells[kind], size = Math.ceil(this.buckets / step);
      const column = Uint32Array.from({ length: this.buckets }, (_, b) => Math.floor(b / step));
      const lists = services.map(() => new Float64Array(size));
      for (let n = 0; n < this.root.length; n++) {
        for (const list of lists.filter((_, i) => services[i] < 0 || services[i] === this.root[n])) {
          for (let i = first[n], end = first[n + 1]; i < end; i++) list[column[bucket[i]]] += value[i];
        }
      }
      return lists;
    }

    // add sums buckets from to before to into nodes.
    add(sums, kind, from, to) {
      const { first, bucket, value } = this.cells[kind];
      for (let n = 0; n < sums.length; n++) {
        const end = place(bucket, first[n], first[n + 1], to);
        let sum = 0;
        for (let i = place(bucket, first[n], end, from); i < end; i++) sum += value[i];
        sums[n] += sum;
      }
    }

    // tree sums buckets from to before to into nodes for the flame graph: what of
    // them are whole buckets of the detail is taken from there.
    tree(kind, service, from, to) {
      const sums = new Float64Array(this.parent.length), { detail } = this;
      const begin = Math.ceil(from / detail), end = to >= this.buckets ? Math.ceil(to / detail) : Math.floor(to / detail);
      if (kind === "on" && detail && begin < end) {
        this.add(sums, kind, from, begin * detail);
        this.add(sums, "detail", begin, end);
        if (end * detail < to) this.add(sums, kind, end * detail, to);
      } else {
        this.add(sums, kind, from, to);
      }
      for (let i = sums.length - 1; i >= 0; i--) {
        if (this.parent[i] >= 0) sums[this.parent[i]] += sums[i];
      }
      const all = { name: service < 0 ? "all services" : this.frames[service].name, kind: "all", value: 0, children: [] };
      const made = new Array(sums.length);
      for (let i = 0; i < sums.length; i++) {
        if (!sums[i] || (service >= 0 && this.root[i] !== service)) continue;
        const { name, module, kind, approximate } = this.frames[this.frame[i]];
        const n = { name, module, kind, approximate, value: sums[i], children: [] };
        made[i] = n;
        if (this.parent[i] >= 0) {
          made[this.parent[i]].children.push(n);
          continue;
        }
        all.value += n.value;
        all.children.push(n);
      }
      if (service >= 0 && all.children.length === 1) return all.children[0];
      return all;
    }
  }

  return { Profile };
})();
