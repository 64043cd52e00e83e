import type { HeadCounts, RopeOptions, Tensor } from "./backend.ts";
import { CheckedStream, distinct } from "./checked_stream.ts";
import { checkCount, mustBe, outOfRange, shapeText } from "./checks.ts";

/** The transformer's ops and the mixture of experts', checked. */
export abstract class CheckedNetwork extends CheckedStream {
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
}

/** Values of one entry of the first axis. */
function columnsOf({ shape }: Tensor): number {
  let count = 1;
  for (let i = 1; i < shape.length; i++) count *= shape[i];
  return count;
}

function checkEpsilon(op: string, epsilon: number): void {
  if (!(epsilon >= 0 && epsilon < Infinity)) throw outOfRange(op, "epsilon", "0 or more", epsilon);
}
