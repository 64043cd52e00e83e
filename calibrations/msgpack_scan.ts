import { quote } from "../core/quote.ts";

/** What a scanned message may contain at most. A calibration of 1,024 layers stays within these. */
export interface MsgpackLimits {
  /** Containers within containers, the outermost counted. */
  readonly depth: number;
  /** Values in all, map keys counted. */
  readonly values: number;
  /** Bytes of one string. */
  readonly stringBytes: number;
}

export const MSGPACK_LIMITS: MsgpackLimits = { depth: 8, values: 8192, stringBytes: 4096 };

/** Setting these on an object reaches its prototype. */
const FORBIDDEN_KEYS = new Set(["__proto__", "constructor", "prototype"]);

/** An array or map being walked: how many values it still lacks, and a map's keys so far. */
interface Open {
  missing: number;
  readonly keys: Set<string> | null;
}

/**
 * Why a message must not reach a decoder, as the end of a sentence, or null. Decoders of MessagePack overflow the stack on deep nesting,
 * let the last of two equal keys win, replace bad UTF-8 and accept type 0xC1 and extensions, so all of that is refused here:
 * exactly one value, of nil, booleans, integers of at most 32 bits, floats, strings, binaries, arrays and maps with
 * distinct string keys. One pass, no recursion; allocates nothing in proportion to what lengths claim.
 */
export function msgpackFault(bytes: Uint8Array, limits: MsgpackLimits = MSGPACK_LIMITS): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const open: Open[] = [];
  let at = 0;
  let values = 0;

  while (at < bytes.length) {
    const start = at;
    if (++values > limits.values) return `its body has more than ${limits.values} values`;
    const value = readHead(view, at);
    if (typeof value === "string") return `its body ${value} at byte ${start}`;
    at += value.headBytes;
    if (value.payloadBytes > bytes.length - at) {
      return `its body ends inside a value that starts at byte ${start}`;
    }

    const parent = open[open.length - 1];
    const isKey = parent !== undefined && parent.keys !== null && parent.missing % 2 === 0;
    if (value.kind === "string") {
      if (value.payloadBytes > limits.stringBytes) {
        return `its body has a string of more than ${limits.stringBytes} bytes at byte ${start}`;
      }
      let text;
      try {
        text = utf8.decode(bytes.subarray(at, at + value.payloadBytes));
      } catch {
        return `its body has a string that is not UTF-8 at byte ${start}`;
      }
      if (isKey && FORBIDDEN_KEYS.has(text)) return `its body has the forbidden key ${quote(text)}`;
      if (isKey && parent.keys!.has(text)) return `its body has the key ${quote(text)} twice`;
      if (isKey) parent.keys!.add(text);
    } else if (isKey) {
      return `its body has a map key that is not a string at byte ${start}`;
    }
    at += value.payloadBytes;
    if (parent !== undefined) parent.missing--;

    if (value.kind === "array" || value.kind === "map") {
      if (open.length >= limits.depth) return `its body nests deeper than ${limits.depth}`;
      const missing = value.kind === "map" ? 2 * value.count : value.count;
      if (missing > limits.values - values) return `its body has more than ${limits.values} values`;
      open.push({ missing, keys: value.kind === "map" ? new Set() : null });
    }
    while (open.length > 0 && open[open.length - 1].missing === 0) open.pop();
    if (open.length === 0) {
      return at === bytes.length ? null : `its body has ${bytes.length - at} bytes after its end`;
    }
  }
  return "its body ends too early";
}

interface Head {
  readonly kind: "scalar" | "string" | "binary" | "array" | "map";
  readonly headBytes: number;
  /** Bytes that follow the head, of a string or binary. */
  readonly payloadBytes: number;
  /** Values of an array, pairs of a map. */
  readonly count: number;
}

/** The type byte and length of one value, or why it is refused. */
function readHead(view: DataView, at: number): Head | string {
  const type = view.getUint8(at);
  if (type <= 0x7f || type >= 0xe0) return scalar(1);
  if (type <= 0x8f) return container("map", 1, type & 0x0f);
  if (type <= 0x9f) return container("array", 1, type & 0x0f);
  if (type <= 0xbf) return sized("string", 1, type & 0x1f);
  const lengthBytes = LENGTH_BYTES.get(type) ?? 0;
  if (view.byteLength - at - 1 < lengthBytes) return "ends inside a length";
  const length = lengthBytes === 1
    ? view.getUint8(at + 1)
    : lengthBytes === 2
    ? view.getUint16(at + 1)
    : lengthBytes === 4
    ? view.getUint32(at + 1)
    : 0;
  const headBytes = 1 + lengthBytes;
  switch (type) {
    case 0xc0: // nil
    case 0xc2: // false
    case 0xc3: // true
      return scalar(1);
    case 0xcc: // unsigned and signed integers of 8 bits
    case 0xd0:
      return bounded(view, at, 2);
    case 0xcd: // of 16 bits
    case 0xd1:
      return bounded(view, at, 3);
    case 0xca: // f32
    case 0xce: // integers of 32 bits
    case 0xd2:
      return bounded(view, at, 5);
    case 0xcb: // f64
      return bounded(view, at, 9);
    case 0xc4:
    case 0xc5:
    case 0xc6:
      return sized("binary", headBytes, length);
    case 0xd9:
    case 0xda:
    case 0xdb:
      return sized("string", headBytes, length);
    case 0xdc:
    case 0xdd:
      return container("array", headBytes, length);
    case 0xde:
    case 0xdf:
      return container("map", headBytes, length);
    default:
      return `has the unsupported type 0x${type.toString(16)}`;
  }
}

const LENGTH_BYTES = new Map([
  [0xc4, 1],
  [0xc5, 2],
  [0xc6, 4],
  [0xd9, 1],
  [0xda, 2],
  [0xdb, 4],
  [0xdc, 2],
  [0xdd, 4],
  [0xde, 2],
  [0xdf, 4],
]);

function scalar(headBytes: number): Head {
  return { kind: "scalar", headBytes, payloadBytes: 0, count: 0 };
}

function bounded(view: DataView, at: number, headBytes: number): Head | string {
  return view.byteLength - at < headBytes ? "ends inside a number" : scalar(headBytes);
}

function sized(kind: "string" | "binary", headBytes: number, payloadBytes: number): Head {
  return { kind, headBytes, payloadBytes, count: 0 };
}

function container(kind: "array" | "map", headBytes: number, count: number): Head {
  return { kind, headBytes, payloadBytes: 0, count };
}
