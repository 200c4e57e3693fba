// Asks Perfetto's trace processor: node trace_processor.mjs TRACE <QUERIES. QUERIES
// is a JSON object of SQL by name; an object of their rows comes back.
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import vm from "node:vm";
import { EngineBase } from "./node_modules/trace-processor/engine.mjs";

const dir = new URL("node_modules/trace-processor/", import.meta.url);

// The build is that of the UI's worker. It must find the program without
// fetching it, and be reached without the worker's messages.
const replaced = [
  ["this.useMemory64 = hasMemory64Support();", "this.useMemory64 = false;"],
  ["locateFile: (s) => s,", "locateFile: (s) => s, wasmBinary: self.program,"],
  ["const wasmBridge = new wasm_bridge_1.WasmBridge();", "const wasmBridge = self.bridge = new wasm_bridge_1.WasmBridge();"],
];

async function start() {
  let text = readFileSync(new URL("engine_bundle.node.js", dir), "utf8");
  for (const [from, to] of replaced) {
    if (!text.includes(from)) throw new Error(`the trace processor has no ${from}`);
    text = text.replace(from, to);
  }
  globalThis.self = globalThis;
  self.WorkerGlobalScope = function () {};
  self.location = { href: dir.href };
  self.program = readFileSync(new URL("trace_processor.wasm", dir));
  vm.runInThisContext(text);
  while (!self.bridge.reqBufferAddr) await setTimeout(5);
  return self.bridge;
}

class Engine extends EngineBase {
  mode = "WASM";
  id = "kmon";
  constructor(bridge) {
    super();
    this.bridge = bridge;
    bridge.initialize({ postMessage: (data) => this.onRpcResponseBytes(data) });
  }
  rpcSendRequestBytes(data) {
    this.bridge.onMessage({ data });
  }
}

console.warn = () => {}; // of fields that the reader of answers does not know
const queries = JSON.parse(readFileSync(0, "utf8"));
const engine = new Engine(await start());
await engine.parse(new Uint8Array(readFileSync(process.argv[2])));
await engine.notifyEof();
const answers = {};
for (const [name, sql] of Object.entries(queries)) {
  const result = await engine.query(sql);
  answers[name] = [];
  for (const it = result.iter({}); it.valid(); it.next())
    answers[name].push(result.columns().map((column) => it.get(column)));
}
// 64 bits come as BigInt, which JSON does not know
process.stdout.write(JSON.stringify(answers, (_, v) => (typeof v === "bigint" ? String(v) : v)));
