import type {
  AttendOptions,
  AttendSelectedOptions,
  Backend,
  DeviceInfo,
  ForcedTokens,
  HeadCounts,
  LayerCache,
  RopeOptions,
  Scores,
  Selection,
  StepRows,
  Tensor,
  TensorSpec,
} from "./backend.ts";
import {
  checkCache,
  checkCount,
  checkQkv,
  checkRows,
  checkScores,
  checkSelection,
  type Heads,
  Lifetimes,
  mustBe,
  outOfRange,
  type RowBounds,
  shapeText,
} from "./checks.ts";
import { blockValues, bytesOf, isBlockDType } from "./dtype.ts";

/**
 * The same backend with every call checked first: shapes, types, lifetimes and the row table. What lies in device
 * memory (indices, counts, heavyTokens) is not looked at, so a call costs microseconds.
 *
 * @throws {TypeError} from a call: a tensor of another shape, type, lifetime or backend than the op needs
 * @throws {RangeError} from a call: a number or a row outside its range
 */
export function checked(backend: Backend): Backend {
  return backend instanceof CheckedBackend ? backend : new CheckedBackend(backend);
}

class CheckedBackend implements Backend {
  readonly name: string;
  readonly device: DeviceInfo;
  private readonly inner: Backend;
  private readonly tensors = new Lifetimes();
  private bounds: RowBounds | null = null;
  private isClosed = false;

  constructor(inner: Backend) {
    this.inner = inner;
    this.name = inner.name;
    this.device = inner.device;
  }

  footprint(spec: TensorSpec): number {
    return this.inner.footprint(spec);
  }

  alloc(spec: TensorSpec): Tensor {
    this.open("allocate a tensor");
    const { dtype, shape, place = "device" } = spec;
    if (shape.length < 1 || shape.length > 5) {
      throw outOfRange("allocate a tensor", "its shape", "of 1 to 5 axes", shapeText(shape));
    }
    let count = 1;
    for (const size of shape) {
      checkCount("allocate a tensor", `every axis of ${shapeText(shape)}`, size, 1);
      count *= size;
    }
    if (!Number.isSafeInteger(count * 8)) {
      throw outOfRange("allocate a tensor", "its size", "a safe integer of bytes", shapeText(shape));
    }
    const columns = shape[shape.length - 1];
    let block = 0;
    try {
      block = blockValues(dtype);
    } catch {
      throw mustBe("allocate a tensor", "its dtype", "a known one", String(dtype));
    }
    if (columns % block !== 0) {
      throw outOfRange("allocate a tensor", `the last axis of ${dtype}`, `whole blocks of ${block}`, columns);
    }
    if (place !== "device" && place !== "host") {
      throw mustBe("allocate a tensor", "its place", '"device" or "host"', String(place));
    }
    const tensor = this.inner.alloc(spec);
    this.tensors.add(tensor);
    return tensor;
  }

  upload(dst: Tensor, data: Uint8Array, byteOffset = 0): void {
    this.open("upload");
    this.tensors.check("upload", "dst", dst);
    if (!(data instanceof Uint8Array)) throw mustBe("upload", "data", "a Uint8Array", typeof data);
    checkRange("upload", dst, byteOffset, data.byteLength);
    this.inner.upload(dst, data, byteOffset);
  }

  // deno-lint-ignore require-await -- async, so that a refusal is a rejection
  async download(src: Tensor, byteOffset = 0, byteLength?: number): Promise<Uint8Array<ArrayBuffer>> {
    this.open("download");
    this.tensors.check("download", "src", src);
    if (isBlockDType(src.dtype)) {
      throw mustBe("download", "src", "of a scalar type, as packed weights may be repacked", src.dtype);
    }
    const length = byteLength ?? src.byteLength - byteOffset;
    checkRange("download", src, byteOffset, length);
    return this.inner.download(src, byteOffset, length);
  }

  free(tensor: Tensor): void {
    this.open("free");
    this.tensors.check("free", "tensor", tensor);
    this.tensors.remove(tensor);
    this.inner.free(tensor);
  }

  beginStep(rows: StepRows): void {
    this.open("begin a step");
    this.bounds = checkRows(rows);
    this.inner.beginStep(rows);
  }

  submit(): void {
    this.open("submit");
    this.inner.submit();
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.inner.close();
  }

  embed(out: Tensor, table: Tensor): void {
    const rows = this.rows("embed");
    this.weight("embed", "table", table, "V, D");
    const [V, D] = table.shape;
    this.tensors.expect("embed", "out", out, "f32", [rows.count, D]);
    if (rows.token >= V) throw outOfRange("embed", "every token", `below the table's ${V}`, rows.token);
    this.inner.embed(out, table);
  }

  gatherRows(out: Tensor, x: Tensor, indices: Tensor): void {
    this.open("gather rows");
    this.tensors.expectRank("gather rows", "x", x, ["f32"], "X, D");
    this.tensors.expectRank("gather rows", "indices", indices, ["i32"], "R");
    this.tensors.expect("gather rows", "out", out, "f32", [indices.shape[0], x.shape[1]]);
    distinct("gather rows", out, x, "x");
    this.inner.gatherRows(out, x, indices);
  }

  rmsNorm(out: Tensor, x: Tensor, weight: Tensor, epsilon: number): void {
    this.open("normalise");
    this.tensors.check("normalise", "x", x);
    this.tensors.expect("normalise", "x", x, "f32", x.shape);
    this.tensors.expect("normalise", "out", out, "f32", x.shape);
    this.tensors.expect("normalise", "weight", weight, "f32", [x.shape[x.shape.length - 1]]);
    checkEpsilon("normalise", epsilon);
    distinct("normalise", out, weight, "weight");
    this.inner.rmsNorm(out, x, weight, epsilon);
  }

  linear(out: Tensor, x: Tensor, weight: Tensor, bias: Tensor | null, column = 0): void {
    const op = "multiply by a weight";
    this.open(op);
    this.weight(op, "weight", weight, "N, I");
    const [N, I] = weight.shape;
    this.tensors.check(op, "x", x);
    const [R] = x.shape;
    if (x.dtype !== "f32" || columnsOf(x) !== I) {
      throw mustBe(op, "x", `f32 with rows of ${I} values`, `${x.dtype} ${shapeText(x.shape)}`);
    }
    this.tensors.check(op, "out", out);
    if (out.dtype !== "f32" || out.shape[0] !== R) {
      throw mustBe(op, "out", `f32 with ${R} rows`, `${out.dtype} ${shapeText(out.shape)}`);
    }
    checkCount(op, "column", column, 0);
    if (column + N > columnsOf(out)) {
      throw outOfRange(op, "column + N", `at most the ${columnsOf(out)} columns of out`, column + N);
    }
    if (bias !== null) {
      this.tensors.expect(op, "bias", bias, "f32", [N]);
      distinct(op, out, bias, "bias");
    }
    distinct(op, out, x, "x");
    distinct(op, out, weight, "weight");
    this.inner.linear(out, x, weight, bias, column);
  }

  rope(qkv: Tensor, table: Tensor, heads: HeadCounts, options: RopeOptions = {}): void {
    const rows = this.rows("rotate");
    const { numHeads, numKvHeads } = heads;
    checkCount("rotate", "numHeads", numHeads, 1);
    checkCount("rotate", "numKvHeads", numKvHeads, 1);
    this.tensors.expectRank("rotate", "qkv", qkv, ["f32"], "T, Hq + 2·Hk, d");
    const d = qkv.shape[2];
    this.tensors.expect("rotate", "qkv", qkv, "f32", [rows.count, numHeads + 2 * numKvHeads, d]);
    if (d % 2 !== 0) throw outOfRange("rotate", "d", "even", d);
    this.tensors.expectRank("rotate", "table", table, ["f32"], "positions, 2, d/2");
    const [positions] = table.shape;
    this.tensors.expect("rotate", "table", table, "f32", [positions, 2, d / 2]);
    if (rows.position >= positions) {
      throw outOfRange("rotate", "every position", `below the table's ${positions}`, rows.position);
    }
    for (const name of ["queryNorm", "keyNorm"] as const) {
      const norm = options[name];
      if (norm !== undefined) this.tensors.expect("rotate", name, norm, "f32", [d]);
    }
    if (options.queryNorm !== undefined || options.keyNorm !== undefined) {
      checkEpsilon("rotate", options.epsilon ?? NaN);
    }
    this.inner.rope(qkv, table, heads, options);
  }

  swiglu(out: Tensor, gateUp: Tensor): void {
    this.open("apply swiglu");
    this.tensors.expectRank("apply swiglu", "out", out, ["f32"], "R, F");
    this.tensors.expect("apply swiglu", "gateUp", gateUp, "f32", [out.shape[0], 2 * out.shape[1]]);
    this.inner.swiglu(out, gateUp);
  }

  add(x: Tensor, y: Tensor): void {
    this.open("add");
    this.tensors.check("add", "x", x);
    this.tensors.expect("add", "x", x, "f32", x.shape);
    this.tensors.expect("add", "y", y, "f32", x.shape);
    this.inner.add(x, y);
  }

  argmax(token: Tensor, logits: Tensor): void {
    this.open("take the argmax");
    this.tensors.expectRank("take the argmax", "logits", logits, ["f32"], "R, V");
    this.tensors.expect("take the argmax", "token", token, "i32", [logits.shape[0]]);
    this.inner.argmax(token, logits);
  }

  routeExperts(experts: Tensor, mix: Tensor, logits: Tensor, renormalise: boolean): void {
    const op = "route experts";
    this.open(op);
    this.tensors.expectRank(op, "logits", logits, ["f32"], "R, E");
    const [R, E] = logits.shape;
    this.tensors.expectRank(op, "experts", experts, ["i32"], "R, E'");
    const chosen = experts.shape[1];
    this.tensors.expect(op, "experts", experts, "i32", [R, chosen]);
    if (chosen > E) throw outOfRange(op, "the experts chosen", `at most the ${E} there are`, chosen);
    this.tensors.expect(op, "mix", mix, "f32", [R, chosen]);
    distinct(op, mix, logits, "logits");
    this.inner.routeExperts(experts, mix, logits, renormalise);
  }

  linearExperts(out: Tensor, x: Tensor, weight: Tensor, experts: Tensor, mix: Tensor | null): void {
    const op = "multiply by experts";
    this.open(op);
    this.weight(op, "weight", weight, "E, N, I");
    const [, N, I] = weight.shape;
    this.tensors.expectRank(op, "experts", experts, ["i32"], "R, E'");
    const [R, chosen] = experts.shape;
    this.tensors.check(op, "x", x);
    this.tensors.expect(op, "x", x, "f32", x.shape.length === 3 ? [R, chosen, I] : [R, I]);
    if (mix !== null) this.tensors.expect(op, "mix", mix, "f32", [R, chosen]);
    this.tensors.expect(op, "out", out, "f32", mix === null ? [R, chosen, N] : [R, N]);
    distinct(op, out, x, "x");
    distinct(op, out, weight, "weight");
    if (mix !== null) distinct(op, out, mix, "mix");
    this.inner.linearExperts(out, x, weight, experts, mix);
  }

  appendKv(cache: LayerCache, qkv: Tensor): void {
    this.heads("append K and V", cache, qkv);
    this.inner.appendKv(cache, qkv);
  }

  attend(out: Tensor, qkv: Tensor, cache: LayerCache, options: AttendOptions): void {
    const { Hq, d } = this.heads("attend", cache, qkv);
    this.tensors.expect("attend", "out", out, "f32", [qkv.shape[0], Hq, d]);
    distinct("attend", out, qkv, "qkv");
    distinct("attend", out, cache.kv, "cache.kv");
    checkScale("attend", options.scale);
    checkCount("attend", "window", options.window ?? 0, 0);
    this.inner.attend(out, qkv, cache, options);
  }

  scoreLabels(scores: Scores, qkv: Tensor, cache: LayerCache): void {
    const { Hq, S } = this.heads("score labels", cache, qkv);
    if (cache.labels === null) throw mustBe("score labels", "cache.labels", "a label cache", "null");
    this.tensors.expect("score labels", "scores.scores", scores.scores, "i32", [qkv.shape[0], Hq, S]);
    checkScores("score labels", this.tensors, scores, this.rows("score labels"));
    distinct("score labels", scores.exponents, scores.maxima, "scores.maxima");
    this.inner.scoreLabels(scores, qkv, cache);
  }

  selectTokens(selection: Selection, scores: Scores, heavyTokens: Tensor, forced: ForcedTokens): void {
    const op = "select tokens";
    const rows = this.rows(op);
    const { Hq } = checkScores(op, this.tensors, scores, rows);
    const { H, K } = checkSelection(op, this.tensors, selection, rows, Hq);
    this.tensors.expect(op, "heavyTokens", heavyTokens, "i32", [rows.count, H]);
    distinct(op, selection.counts, heavyTokens, "heavyTokens");
    checkForced(op, forced);
    const least = Math.min(rows.position + 1, forced.sinkTokens + forced.recentTokens + 1);
    if (K < least) throw outOfRange(op, "K", `room for the ${least} forced tokens`, K);
    this.inner.selectTokens(selection, scores, heavyTokens, forced);
  }

  attendSelected(
    out: Tensor,
    qkv: Tensor,
    cache: LayerCache,
    selection: Selection,
    options: AttendSelectedOptions,
  ): void {
    const op = "attend to selected tokens";
    const { Hq, Hk, S, d } = this.heads(op, cache, qkv);
    const rows = this.rows(op);
    this.tensors.expect(op, "out", out, "f32", [rows.count, Hq, d]);
    distinct(op, out, qkv, "qkv");
    distinct(op, out, cache.kv, "cache.kv");
    checkScale(op, options.scale);
    const { H, K } = checkSelection(op, this.tensors, selection, rows, Hq);
    if (H !== Hq && H !== Hk) throw outOfRange(op, "the sets per row", `${Hk} or ${Hq}`, H);
    if (options.tail !== undefined) {
      if (cache.labels === null) throw mustBe(op, "cache.labels", "a label cache, for the tail", "null");
      const { scores } = options.tail;
      this.tensors.expect(op, "tail.scores.scores", scores.scores, "i32", [rows.count, Hq, S]);
      checkScores(op, this.tensors, scores, rows);
      checkForced(op, options.tail.forced);
    }
    if (options.staging !== undefined) this.staging(op, options.staging, cache, H, K);
    this.inner.attendSelected(out, qkv, cache, selection, options);
  }

  async fetchRows(staging: Tensor, cache: LayerCache, selection: Selection): Promise<void> {
    const op = "fetch rows";
    const rows = this.rows(op);
    const { Hk } = checkCache(op, this.tensors, cache, rows, this.device.kvDtypes);
    this.tensors.check(op, "selection.tailMass", selection.tailMass);
    const { H, K } = checkSelection(op, this.tensors, selection, rows, selection.tailMass.shape[1] ?? Hk);
    this.staging(op, staging, cache, H, K);
    await this.inner.fetchRows(staging, cache, selection);
  }

  private open(op: string): void {
    if (this.isClosed) {
      throw new TypeError(`Cannot ${op} as the backend must be open: "${this.name}" was closed`);
    }
  }

  private rows(op: string): RowBounds {
    this.open(op);
    if (this.bounds === null) {
      throw new TypeError(`Cannot ${op} as a step must have begun: call beginStep first`);
    }
    return this.bounds;
  }

  private heads(op: string, cache: LayerCache, qkv: Tensor): Heads {
    const rows = this.rows(op);
    const facts = checkCache(op, this.tensors, cache, rows, this.device.kvDtypes);
    return checkQkv(op, this.tensors, qkv, rows, facts);
  }

  private weight(op: string, argument: string, tensor: Tensor, axes: string): void {
    this.tensors.expectRank(op, argument, tensor, this.device.weightDtypes, axes);
  }

  private staging(op: string, staging: Tensor, cache: LayerCache, H: number, K: number): void {
    const [, Hk, , , d] = cache.kv.shape;
    if (H !== Hk) throw outOfRange(op, "the sets per row", `one per KV head (${Hk}), as rows are staged`, H);
    this.tensors.expect(op, "staging", staging, cache.kv.dtype, [this.rows(op).count, Hk, K, 2, d]);
    distinct(op, staging, cache.kv, "cache.kv");
  }
}

/** Values of one entry of the first axis. */
function columnsOf({ shape }: Tensor): number {
  let count = 1;
  for (let i = 1; i < shape.length; i++) count *= shape[i];
  return count;
}

function distinct(op: string, out: Tensor, other: Tensor, name: string): void {
  if (out === other) throw mustBe(op, "the output", `another tensor than ${name}`, "the same");
}

function checkRange(op: string, tensor: Tensor, byteOffset: number, byteLength: number): void {
  const row = bytesOf(tensor.dtype, tensor.shape[tensor.shape.length - 1]);
  checkCount(op, "byteOffset", byteOffset, 0);
  checkCount(op, "the length", byteLength, 0);
  if (byteOffset % row !== 0 || byteLength % row !== 0) {
    const found = `${byteLength} bytes from ${byteOffset}`;
    throw outOfRange(op, "the range", `whole rows of ${row} bytes`, found);
  }
  if (byteOffset + byteLength > tensor.byteLength) {
    throw outOfRange(op, "the range", `within ${tensor.byteLength} bytes`, byteOffset + byteLength);
  }
}

function checkScale(op: string, scale: number): void {
  if (!Number.isFinite(scale)) throw outOfRange(op, "scale", "a finite number", scale);
}

function checkEpsilon(op: string, epsilon: number): void {
  if (!(epsilon >= 0 && epsilon < Infinity)) throw outOfRange(op, "epsilon", "0 or more", epsilon);
}

function checkForced(op: string, { sinkTokens, recentTokens }: ForcedTokens): void {
  checkCount(op, "sinkTokens", sinkTokens, 0);
  checkCount(op, "recentTokens", recentTokens, 0);
}
