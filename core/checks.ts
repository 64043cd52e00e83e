/** The checks `checked` makes of tensors and rows: sentences that name the op, the argument, the need and the find. */
import type { LayerCache, Scores, Selection, StepRows, Tensor } from "./backend.ts";
import { VALUE_SUM_TOKENS } from "./kv_cache.ts";
import { labelWords, NARROW_PER_WORD, WIDE_PER_WORD } from "./labels.ts";

export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

export function mustBe(op: string, argument: string, needed: string, found: string): TypeError {
  return new TypeError(`Cannot ${op} as ${argument} must be ${needed}: found ${found}`);
}

export function outOfRange(op: string, argument: string, needed: string, found: number | string): RangeError {
  return new RangeError(`Cannot ${op} as ${argument} must be ${needed}: found ${found}`);
}

export function checkCount(op: string, argument: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw outOfRange(op, argument, `an integer of ${least} or more`, value);
  }
}

/** Which tensors are alive on one backend. */
export class Lifetimes {
  private readonly alive = new Set<Tensor>();
  private readonly freed = new WeakSet<Tensor>();

  add(tensor: Tensor): void {
    this.alive.add(tensor);
  }

  remove(tensor: Tensor): void {
    this.alive.delete(tensor);
    this.freed.add(tensor);
  }

  check(op: string, argument: string, tensor: Tensor): void {
    if (this.alive.has(tensor)) return;
    const isTensor = typeof tensor === "object" && tensor !== null;
    const found = !isTensor
      ? String(tensor)
      : this.freed.has(tensor)
      ? "one that was freed"
      : "one of another backend";
    throw mustBe(op, argument, "a tensor of this backend", found);
  }

  /** A live tensor of this type and shape. */
  expect(op: string, argument: string, tensor: Tensor, dtype: string, shape: readonly number[]): void {
    this.check(op, argument, tensor);
    const { shape: found } = tensor;
    let same = tensor.dtype === dtype && found.length === shape.length;
    for (let i = 0; same && i < shape.length; i++) same = found[i] === shape[i];
    if (!same) {
      throw mustBe(op, argument, `${dtype} ${shapeText(shape)}`, `${tensor.dtype} ${shapeText(found)}`);
    }
  }

  /** A live tensor of one of these types and so many axes. */
  expectRank(op: string, argument: string, tensor: Tensor, dtypes: readonly string[], axes: string): void {
    this.check(op, argument, tensor);
    if (dtypes.includes(tensor.dtype) && tensor.shape.length === axes.split(",").length) return;
    throw mustBe(
      op,
      argument,
      `${dtypes.join(" or ")} [${axes}]`,
      `${tensor.dtype} ${shapeText(tensor.shape)}`,
    );
  }
}

/** The table of a step with the bounds later ops compare with. */
export interface RowBounds {
  readonly count: number;
  readonly token: number;
  readonly slot: number;
  readonly position: number;
  readonly home: number;
}

/**
 * @throws {TypeError | RangeError} unequal lengths, negative numbers, two rows at one home, or a private row whose home
 * another row of its slot could see
 */
export function checkRows(rows: StepRows): RowBounds {
  const { tokens, slots, positions, homes } = rows;
  const count = tokens?.length ?? 0;
  for (const name of ["tokens", "slots", "positions", "homes"] as const) {
    const array = rows[name];
    if (!(array instanceof Int32Array)) throw mustBe("begin a step", name, "an Int32Array", typeof array);
    if (array.length !== count || count === 0) {
      throw outOfRange(
        "begin a step",
        name,
        `of the same length, at least 1, as tokens (${count})`,
        array.length,
      );
    }
    for (let t = 0; t < count; t++) {
      if (array[t] < 0) throw outOfRange("begin a step", `${name}[${t}]`, "0 or more", array[t]);
    }
  }
  const newest = new Map<number, number>();
  const taken = new Map<number, Set<number>>();
  for (let t = 0; t < count; t++) {
    newest.set(slots[t], Math.max(newest.get(slots[t]) ?? 0, positions[t]));
    const homesOfSlot = taken.get(slots[t]) ?? new Set();
    if (homesOfSlot.has(homes[t])) {
      throw outOfRange(
        "begin a step",
        `homes[${t}]`,
        `a place of slot ${slots[t]} no other row has`,
        homes[t],
      );
    }
    taken.set(slots[t], homesOfSlot.add(homes[t]));
  }
  for (let t = 0; t < count; t++) {
    if (homes[t] === positions[t] || homes[t] >= newest.get(slots[t])!) continue;
    const needed = `its position (${positions[t]}) or beyond all positions of its slot in this step`;
    throw outOfRange("begin a step", `homes[${t}]`, needed, homes[t]);
  }
  return { count, token: most(tokens), slot: most(slots), position: most(positions), home: most(homes) };
}

function most(values: Int32Array): number {
  return values.reduce((largest, value) => (value > largest ? value : largest), 0);
}

/** The sizes a packed qkv and a cache agree on. */
export interface Heads {
  readonly Hq: number;
  readonly Hk: number;
  readonly S: number;
  readonly d: number;
}

export function checkCache(
  op: string,
  lifetimes: Lifetimes,
  cache: LayerCache,
  rows: RowBounds,
  kvDtypes: readonly string[],
): Omit<Heads, "Hq"> {
  const { kv, labels } = cache;
  lifetimes.expectRank(op, "cache.kv", kv, kvDtypes, "slots, Hk, S, 2, d");
  const [slots, Hk, S, two, d] = kv.shape;
  if (two !== 2) throw mustBe(op, "cache.kv", "[slots, Hk, S, 2, d]", shapeText(kv.shape));
  if (rows.slot >= slots) throw outOfRange(op, "the rows' slots", `below the cache's ${slots}`, rows.slot);
  if (rows.position >= S) {
    throw outOfRange(op, "the rows' positions", `below the capacity ${S}`, rows.position);
  }
  if (rows.home >= S) throw outOfRange(op, "the rows' homes", `below the capacity ${S}`, rows.home);
  if (labels === null) return { Hk, S, d };
  const { wide, narrow } = labels.layout;
  const C = wide + narrow;
  if (
    !(wide >= 0 && narrow >= 0 && wide % WIDE_PER_WORD === 0 && narrow % NARROW_PER_WORD === 0 && C > 0 &&
      C <= d)
  ) {
    throw outOfRange(op, "the label layout", `whole words of at most ${d} channels`, `${wide}x4+${narrow}x2`);
  }
  lifetimes.expect(op, "cache.labels.words", labels.words, "u32", [slots, Hk, S, labelWords(labels.layout)]);
  lifetimes.expect(op, "cache.labels.channels", labels.channels, "i32", [Hk, C]);
  lifetimes.expect(op, "cache.labels.zero", labels.zero, "f32", [Hk, C]);
  lifetimes.expect(op, "cache.labels.step", labels.step, "f32", [Hk, C]);
  lifetimes.expect(op, "cache.labels.inverseStep", labels.inverseStep, "f32", [Hk, C]);
  const entries = Math.ceil(S / VALUE_SUM_TOKENS);
  lifetimes.expect(op, "cache.labels.valueSums", labels.valueSums, "f32", [slots, Hk, entries, d]);
  return { Hk, S, d };
}

/** qkv f32 [T, Hq + 2·Hk, d] for a cache of Hk heads of d channels. */
export function checkQkv(
  op: string,
  lifetimes: Lifetimes,
  qkv: Tensor,
  rows: RowBounds,
  { Hk, S, d }: Omit<Heads, "Hq">,
): Heads {
  lifetimes.expectRank(op, "qkv", qkv, ["f32"], "T, Hq + 2·Hk, d");
  const [T, heads, width] = qkv.shape;
  const Hq = heads - 2 * Hk;
  if (T !== rows.count || width !== d || Hq < Hk || Hq % Hk !== 0) {
    const needed = `[${rows.count}, Hq + ${2 * Hk}, ${d}] with Hq a multiple of ${Hk}`;
    throw mustBe(op, "qkv", needed, shapeText(qkv.shape));
  }
  return { Hq, Hk, S, d };
}

export function checkScores(
  op: string,
  lifetimes: Lifetimes,
  { headDim, scores, exponents, maxima }: Scores,
  rows: RowBounds,
): { readonly Hq: number; readonly S: number } {
  if (!Number.isSafeInteger(headDim) || headDim < 1) {
    throw outOfRange(op, "scores.headDim", "the queries' d, at least 1", headDim);
  }
  lifetimes.expectRank(op, "scores.scores", scores, ["i32"], "T, Hq, S");
  const [T, Hq, S] = scores.shape;
  if (T !== rows.count) throw outOfRange(op, "the first axis of scores", `the step's ${rows.count} rows`, T);
  if (rows.position >= S) {
    throw outOfRange(op, "the rows' positions", `below the scores' ${S}`, rows.position);
  }
  lifetimes.expect(op, "scores.exponents", exponents, "i32", [T, Hq]);
  lifetimes.expect(op, "scores.maxima", maxima, "i32", [T, Hq]);
  return { Hq, S };
}

export function checkSelection(
  op: string,
  lifetimes: Lifetimes,
  { indices, counts, tailMass }: Selection,
  rows: RowBounds,
  Hq: number,
): { readonly H: number; readonly K: number } {
  lifetimes.expectRank(op, "selection.indices", indices, ["i32"], "T, H, K");
  const [T, H, K] = indices.shape;
  if (T !== rows.count || Hq % H !== 0) {
    throw mustBe(
      op,
      "selection.indices",
      `[${rows.count}, H, K] with H a divisor of ${Hq}`,
      shapeText(indices.shape),
    );
  }
  lifetimes.expect(op, "selection.counts", counts, "i32", [T, H]);
  lifetimes.expect(op, "selection.tailMass", tailMass, "f32", [T, Hq]);
  return { H, K };
}
