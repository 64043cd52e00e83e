import type { LabelLayout, LayerCache, Scores, Selection, StepRows, Tensor } from "../../core/backend.ts";
import { Random } from "../../core/random.ts";
import { type Bench, roundTo } from "./bench.ts";

export interface RowSpec {
  readonly slot: number;
  readonly position: number;
  /** Elsewhere than the position: a private row. */
  readonly home?: number;
}

export interface ScenarioSpec {
  readonly name: string;
  readonly Hq: number;
  readonly Hk: number;
  readonly d: number;
  /** Tokens already cached per slot. */
  readonly cached: readonly number[];
  readonly rows: readonly RowSpec[];
  readonly kvDtype?: "f32" | "f16" | "bf16";
  readonly layout?: LabelLayout;
  /** S; default: just enough. */
  readonly capacity?: number;
}

/** Roughly Gaussian, deviation 1. */
export function gaussian(random: Random): number {
  return random.next() + random.next() + random.next() + random.next() + random.next() + random.next() +
    random.next() + random.next() + random.next() + random.next() + random.next() + random.next() - 6;
}

export function gaussians(random: Random, count: number, scale = 1): Float32Array {
  return Float32Array.from({ length: count }, () => gaussian(random) * scale);
}

export function defaultLayout(d: number): LabelLayout {
  if (d < 32) return { wide: 8, narrow: 0 };
  return d >= 128 ? { wide: 16, narrow: 32 } : { wide: 8, narrow: 16 };
}

/** A cache with seeded tokens in it and one step on top: the same on every backend and for the oracle. */
export class Scenario {
  readonly spec: ScenarioSpec;
  readonly S: number;
  readonly T: number;
  readonly heads: number;
  readonly layout: LabelLayout;
  readonly rows: StepRows;
  /** f32 [T, Hq + 2·Hk, d] of the step. */
  readonly qkv: Float32Array;
  readonly channels: Int32Array;
  readonly zero: Float32Array;
  readonly step: Float32Array;
  readonly inverseStep: Float32Array;
  private readonly cachedQkv: readonly Float32Array[];

  constructor(spec: ScenarioSpec, seed = 1) {
    const { Hq, Hk, d, cached } = spec;
    this.spec = spec;
    this.T = spec.rows.length;
    this.heads = Hq + 2 * Hk;
    this.layout = spec.layout ?? defaultLayout(d);
    const homes = spec.rows.map((row) => row.home ?? row.position);
    this.S = spec.capacity ?? 1 + Math.max(...homes, ...cached);
    this.rows = {
      tokens: new Int32Array(this.T),
      slots: Int32Array.from(spec.rows, (row) => row.slot),
      positions: Int32Array.from(spec.rows, (row) => row.position),
      homes: Int32Array.from(homes),
    };
    const random = new Random(seed);
    this.qkv = gaussians(random, this.T * this.heads * d);
    this.cachedQkv = cached.map((count) => gaussians(random, count * this.heads * d));
    const C = this.layout.wide + this.layout.narrow;
    this.channels = new Int32Array(Hk * C);
    for (let h = 0; h < Hk; h++) {
      const order = Array.from({ length: d }, (_, c) => c);
      for (let c = d - 1; c > 0; c--) {
        const other = random.nextUint32() % (c + 1);
        [order[c], order[other]] = [order[other], order[c]];
      }
      this.channels.set(order.slice(0, C), h * C);
    }
    this.step = Float32Array.from(
      { length: Hk * C },
      (_, i) => (i % C < this.layout.wide ? 0.34 : 1) * (0.8 + random.next() * 0.4),
    );
    this.zero = this.step.map((step, i) =>
      gaussian(random) * 0.3 - step * (i % C < this.layout.wide ? 7.5 : 1.5)
    );
    this.inverseStep = this.step.map((step) => 1 / step);
  }

  /** Every key, query and step a multiple of 1/4 or 1/2, so that codes fall halfway between two integers. */
  halfway(): this {
    this.step.fill(0.5);
    this.inverseStep.fill(2);
    this.zero.fill(-2);
    for (const values of [this.qkv, ...this.cachedQkv]) {
      values.forEach((value, i) => values[i] = Math.round(value * 4) / 4);
    }
    for (let t = 0; t < this.T; t++) {
      for (let q = 0; q < this.spec.Hq; q++) {
        const query = this.query(t, q);
        query.forEach((value, c) => query[c] = Math.round(value * 4) * 2 + 1);
        for (let h = 0; h < this.spec.Hk; h++) {
          query[this.channels[h * (this.channels.length / this.spec.Hk)]] = 128;
        }
      }
    }
    return this;
  }

  /** Fills a cache by prefill of each slot in chunks, then begins the step and appends its rows. */
  install(bench: Bench, withLabels = true): { readonly cache: LayerCache; readonly qkv: Tensor } {
    const { S, heads, layout } = this;
    const { Hk, d, cached, kvDtype = "f32" } = this.spec;
    const slots = Math.max(cached.length, 1 + Math.max(...this.rows.slots));
    const C = layout.wide + layout.narrow;
    const cache: LayerCache = {
      kv: bench.output(kvDtype, [slots, Hk, S, 2, d]),
      labels: withLabels
        ? {
          layout,
          words: bench.output("u32", [slots, Hk, S, layout.wide / 8 + layout.narrow / 16]),
          channels: bench.tensor(this.channels, [Hk, C]),
          zero: bench.tensor(this.zero, [Hk, C]),
          step: bench.tensor(this.step, [Hk, C]),
          inverseStep: bench.tensor(this.inverseStep, [Hk, C]),
          valueSums: bench.tensor(
            new Float32Array(slots * Hk * Math.ceil(S / 64) * d),
            [slots, Hk, Math.ceil(S / 64), d],
          ),
        }
        : null,
    };
    this.cachedQkv.forEach((qkv, slot) => {
      for (let first = 0; first < cached[slot]; first += CHUNK) {
        const count = Math.min(CHUNK, cached[slot] - first);
        const positions = Int32Array.from({ length: count }, (_, i) => first + i);
        const tokens = new Int32Array(count);
        bench.step({ tokens, slots: new Int32Array(count).fill(slot), positions, homes: positions });
        const part = qkv.slice(first * heads * d, (first + count) * heads * d);
        bench.backend.appendKv(cache, bench.tensor(part, [count, heads, d]));
      }
    });
    bench.step(this.rows);
    const qkv = bench.tensor(this.qkv, [this.T, heads, d]);
    bench.backend.appendKv(cache, qkv);
    return { cache, qkv };
  }

  scores(bench: Bench): Scores {
    const { Hq, d } = this.spec;
    return {
      headDim: d,
      scores: bench.output("i32", [this.T, Hq, this.S]),
      exponents: bench.output("i32", [this.T, Hq]),
      maxima: bench.output("i32", [this.T, Hq]),
    };
  }

  selection(bench: Bench, H: number, K: number): Selection {
    return {
      indices: bench.output("i32", [this.T, H, K]),
      counts: bench.output("i32", [this.T, H]),
      tailMass: bench.output("f32", [this.T, this.spec.Hq]),
    };
  }

  /** Channel `c` of the query of row t, head q. */
  query(t: number, q: number): Float32Array {
    const { d } = this.spec;
    return this.qkv.subarray((t * this.heads + q) * d, (t * this.heads + q + 1) * d);
  }

  /** K (part 0) or V (part 1) that the step's row t brings. */
  own(t: number, kvHead: number, part: 0 | 1): Float32Array {
    return this.part(this.qkv, t, kvHead, part);
  }

  /** The same of token n cached before the step. */
  cachedRow(slot: number, kvHead: number, n: number, part: 0 | 1): Float32Array {
    return this.part(this.cachedQkv[slot], n, kvHead, part);
  }

  /** K or V of token n as row t sees it, unrounded: the row itself is n = positions[t]. */
  seen(t: number, kvHead: number, n: number, part: 0 | 1): Float32Array {
    const slot = this.rows.slots[t];
    if (n === this.rows.positions[t]) return this.own(t, kvHead, part);
    for (let other = 0; other < this.T; other++) {
      if (this.rows.slots[other] === slot && this.rows.homes[other] === n) {
        return this.own(other, kvHead, part);
      }
    }
    return this.cachedRow(slot, kvHead, n, part);
  }

  /** {@link seen} as the cache holds it. */
  held(t: number, kvHead: number, n: number, part: 0 | 1): Float64Array {
    const { kvDtype = "f32" } = this.spec;
    return Float64Array.from(this.seen(t, kvHead, n, part), (value) => roundTo(value, kvDtype));
  }

  private part(source: Float32Array, row: number, kvHead: number, part: 0 | 1): Float32Array {
    const { Hq, Hk, d } = this.spec;
    const at = (row * this.heads + Hq + part * Hk + kvHead) * d;
    return source.subarray(at, at + d);
  }
}

const CHUNK = 512;

function row(slot: number, position: number, home = position): RowSpec {
  return { slot, position, home };
}

/** One decode row at the end of `cached` tokens. */
function decode(
  Hq: number,
  Hk: number,
  d: number,
  kvLen: number,
  kvDtype: "f32" | "f16" | "bf16" = "f32",
  layout?: LabelLayout,
): ScenarioSpec {
  return {
    name: `${Hq}:${Hk} heads of ${d}, N = ${kvLen}, ${kvDtype}${
      layout ? `, ${layout.wide}x4+${layout.narrow}x2` : ""
    }`,
    Hq,
    Hk,
    d,
    cached: [kvLen - 1],
    rows: [row(0, kvLen - 1)],
    kvDtype,
    ...(layout && { layout }),
  };
}

/** MHA and GQA, every head width, odd lengths, every cache type, several slots and kinds of rows in one step. */
export const SCENARIOS: readonly ScenarioSpec[] = [
  decode(4, 4, 8, 1),
  decode(6, 2, 64, 1, "f16"),
  decode(2, 2, 48, 63),
  decode(6, 2, 64, 63, "bf16"),
  decode(8, 2, 128, 64),
  decode(8, 1, 8, 64, "f16"),
  decode(3, 1, 64, 65),
  decode(8, 1, 128, 65, "f16"),
  decode(4, 1, 48, 65, "bf16"),
  decode(4, 2, 64, 200, "f32", { wide: 16, narrow: 0 }),
  decode(4, 2, 64, 200, "f32", { wide: 0, narrow: 32 }),
  decode(3, 1, 64, 4097),
  decode(8, 1, 128, 4097, "f16"),
  decode(2, 2, 8, 4097),
  {
    name: "a prefill chunk, two decode rows and an empty slot in one step",
    Hq: 6,
    Hk: 2,
    d: 64,
    cached: [60, 130, 0, 63],
    rows: [
      ...Array.from({ length: 9 }, (_, i) => row(0, 60 + i)),
      row(1, 130),
      row(2, 0),
      row(3, 63),
    ],
    kvDtype: "f16",
  },
  {
    name: "private rows beside an ordinary one",
    Hq: 8,
    Hk: 2,
    d: 48,
    cached: [150, 70, 63],
    rows: [
      row(0, 3, 151),
      row(0, 64, 152),
      row(0, 127, 153),
      row(0, 0, 154),
      row(0, 149, 155),
      row(1, 70),
      // At the end of a block no ordinary row has filled: no sum of it may appear.
      row(2, 63, 65),
    ],
    capacity: 160,
  },
];

/** Rows at consecutive positions of one slot and nothing else: prefill, which backends may do by other means. */
function chunk(
  Hq: number,
  Hk: number,
  d: number,
  cached: number,
  T: number,
  kvDtype: "f32" | "f16" | "bf16",
): ScenarioSpec {
  const rows = Array.from({ length: T }, (_, i) => row(1, cached + i));
  const name = `a chunk of ${T} rows after ${cached}, ${Hq}:${Hk} heads of ${d}, ${kvDtype}`;
  return { name, Hq, Hk, d, cached: [3, cached], rows, kvDtype };
}

/** Prefills of every cache type. */
export const CHUNKS: readonly ScenarioSpec[] = [
  chunk(4, 2, 64, 0, 70, "f16"),
  chunk(3, 1, 48, 700, 9, "f16"),
  chunk(2, 2, 128, 130, 33, "bf16"),
  chunk(4, 1, 8, 61, 40, "bf16"),
  chunk(6, 2, 48, 20, 16, "f32"),
];
