"use strict";
// Reads the data blocks of the page: what reports/html_pack.go wrote.
const kmonData = (() => {
  const decoder = new TextDecoder();

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
      return decoder.decode(this.bytes.subarray(this.at - size, this.at));
    }

    // column reads a list of numbers, as a list that can hold them.
    column(List = Float64Array) {
      return this.numbers(this.number(), List);
    }

    // numbers reads so many numbers.
    numbers(size, List = Float64Array) {
      const { bytes } = this, end = bytes.length;
      let at = this.at;
      if (size > end - at) throw new RangeError("the data of this page is cut short");
      const list = new List(size);
      for (let i = 0; i < size; i++) {
        let b = bytes[at++];
        if (b < 128) { // nearly all
          list[i] = b;
          continue;
        }
        let n = b & 127;
        for (let scale = 128; b > 127; scale *= 128) n += ((b = bytes[at++]) & 127) * scale;
        list[i] = n;
      }
      if (at > end) throw new RangeError("the data of this page is cut short");
      this.at = at;
      return list;
    }
  }

  // fromBase64 decodes as the browser does, if it can.
  function fromBase64(text) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const binary = atob(text), bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  }

  // inflate gives what was packed.
  async function inflate(packed) {
    const stream = new DecompressionStream("deflate"), writer = stream.writable.getWriter();
    for (const step of [writer.write(packed), writer.close()]) step.catch(() => {}); // the reader fails, too
    return new Uint8Array(await new Response(stream.readable).arrayBuffer());
  }

  // load gives a reader of the block with this id, or null: there is none, or
  // the browser cannot inflate it.
  async function load(id) {
    const block = document.getElementById(id);
    if (!block || typeof DecompressionStream === "undefined") return null;
    return new Reader(await inflate(fromBase64(block.textContent.trim())));
  }

  return { Reader, load };
})();
