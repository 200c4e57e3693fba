"use strict";
// Reads the data blocks of the page: what reports/html_pack.go wrote.
const kmonData = (() => {
  class Reader {
    constructor(bytes) {
      this.bytes = bytes;
      this.at = 0;
    }

    number() {
      let n = 0, scale = 1;
      for (;;) {
        const b = this.bytes[this.at++];
        if (b === undefined) throw new RangeError("the data of this page is cut short");
        n += (b & 127) * scale;
        if (b < 128) return n;
        scale *= 128;
      }
    }

    text() {
      const size = this.number();
      this.at += size;
      return new TextDecoder().decode(this.bytes.subarray(this.at - size, this.at));
    }

    // column reads a list of numbers.
    column() {
      const size = this.number();
      if (size > this.bytes.length - this.at) throw new RangeError("the data of this page is cut short");
      const list = new Float64Array(size), { bytes } = this;
      let at = this.at;
      for (let i = 0; i < size; i++) {
        if (bytes[at] < 128) { // nearly all
          list[i] = bytes[at++];
          continue;
        }
        this.at = at;
        list[i] = this.number();
        at = this.at;
      }
      this.at = at;
      return list;
    }
  }

  // load gives a reader of the block with this id, or null: there is none, or
  // the browser cannot inflate it.
  async function load(id) {
    const block = document.getElementById(id);
    if (!block || typeof DecompressionStream === "undefined") return null;
    const text = atob(block.textContent.trim());
    const packed = new Uint8Array(text.length);
    for (let i = 0; i < packed.length; i++) packed[i] = text.charCodeAt(i);
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Reader(new Uint8Array(await new Response(stream).arrayBuffer()));
  }

  return { Reader, load };
})();
