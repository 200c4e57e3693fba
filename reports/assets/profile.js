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

  // readCells gives cells by bucket: those of bucket b are first[b] to
  // first[b + 1] of node and value, which List can hold.
  function readCells(r, List) {
    const order = r.column(Int32Array), gaps = r.column(Int32Array), counts = r.column(Int32Array), node = r.column(Int32Array), value = r.column(List);
    let buckets = 0;
    for (const gap of gaps) buckets += gap;
    if (gaps.length) buckets++;
    const first = new Uint32Array(buckets + 1);
    let at = 0, bucket = 0, next = 0;
    for (let i = 0; i < gaps.length; i++) {
      bucket += gaps[i];
      for (; next <= bucket; next++) first[next] = at;
      for (let place = 0, end = at + counts[i]; at < end; at++) {
        place += node[at]; // the distance so far
        node[at] = order[place];
      }
    }
    for (; next <= buckets; next++) first[next] = at;
    return { first, node, value, buckets };
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
      return this.cells[kind].node.length > 0;
    }

    // services are the frames of the roots, the busiest of this kind first.
    services(kind) {
      const cells = this.cells[kind], { node, value } = cells;
      if (cells.services) return cells.services;
      const sums = new Float64Array(this.frames.length);
      for (let i = 0; i < node.length; i++) sums[this.root[node[i]]] += value[i];
      cells.services = Array.from(sums.keys()).filter((frame) => sums[frame] > 0).sort((a, b) => sums[b] - sums[a] || a - b);
      return cells.services;
    }

    // byTime sums the cells of each so many buckets, a list for each of the
    // services; a service is a frame, or -1 for all.
    byTime(kind, services, step) {
      const { first, node, value, buckets } = this.cells[kind];
      const lists = services.map(() => new Float64Array(Math.ceil(this.buckets / step)));
      if (services.length === 1 && services[0] < 0) {
        for (let b = 0; b < buckets; b++) {
          let sum = 0;
          for (let i = first[b], end = first[b + 1]; i < end; i++) sum += value[i];
          lists[0][Math.floor(b / step)] += sum;
        }
        return lists;
      }
      const all = services.indexOf(-1), place = new Int32Array(this.frames.length).fill(-1);
      services.forEach((frame, i) => {
        if (frame >= 0) place[frame] = i;
      });
      for (let b = 0; b < buckets; b++) {
        const at = Math.floor(b / step);
        for (let i = first[b]; i < first[b + 1]; i++) {
          const list = place[this.root[node[i]]];
          if (list >= 0) lists[list][at] += value[i];
          if (all >= 0) lists[all][at] += value[i];
        }
      }
      return lists;
    }

    // add sums buckets from to before to into nodes.
    add(sums, kind, from, to) {
      const { first, node, value, buckets } = this.cells[kind];
      const begin = first[Math.min(from, buckets)], end = first[Math.min(to, buckets)];
      for (let i = begin; i < end; i++) sums[node[i]] += value[i];
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
