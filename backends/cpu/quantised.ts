import { type Arena, rounded } from "./arena.ts";
import { QUANTISE_ROWS } from "./kernels/ops.ts";
import { ALONE_VALUES, type Queue } from "./queue.ts";

/**
 * Activations x [R, I] in blocks of 32 values, each scale · code with |code| ≤ 127 or 32,767; I is filled up with zeros. These are
 * addresses; block b of row r is number i = r·rowPitch + b·blockPitch of every array.
 */
export interface Quantised {
  /** i8 [32] per block. */
  readonly codes: number;
  /** The same as i16 [32], each four of them in the order 0, 2, 1, 3; 0 where not asked for. */
  readonly codes16: number;
  /** f32 per block: max|x| / the largest code. */
  readonly scale: number;
  /** f32 per block: scale · Σ codes. */
  readonly scaledSum: number;
  /** i32 [2] per block: Σ codes of each half. */
  readonly sums16: number;
  /** i32 per block: -8 · Σ codes. */
  readonly centre: number;
  readonly rowPitch: number;
  readonly blockPitch: number;
}

export interface Arrangement {
  /** True: the same block of all rows adjacent; default: the blocks of a row. */
  readonly byBlock?: boolean;
  /** Whether `codes16` is filled. */
  readonly wide?: boolean;
  /** Codes up to 32,767: `codes16` alone holds them. */
  readonly fine?: boolean;
  /** Address of f32 [R] for the limits that `addResiduals` needs. */
  readonly limits?: number;
}

/** Bytes of scratch that `quantiseRows` fills. */
export function quantisedBytes(R: number, I: number): number {
  const blocks = R * Math.ceil(I / 32);
  return rounded(32 * blocks) + rounded(64 * blocks) + 3 * rounded(4 * blocks) + rounded(8 * blocks);
}

/**
 * Queues the command that quantises x.
 *
 * @param x address of f32 [R, I]
 * @param at address of `quantisedBytes(R, I)` bytes, 64-byte aligned
 */
export function quantiseRows(
  queue: Queue,
  arena: Arena,
  x: number,
  R: number,
  I: number,
  at: number,
  { byBlock = false, wide = false, fine = false, limits = 0 }: Arrangement = {},
): Quantised {
  const perRow = Math.ceil(I / 32);
  const blocks = R * perRow;
  const codes = at;
  const codes16 = codes + rounded(32 * blocks);
  const scale = codes16 + rounded(64 * blocks);
  const scaledSum = scale + rounded(4 * blocks);
  const sums16 = scaledSum + rounded(4 * blocks);
  const centre = sums16 + rounded(8 * blocks);
  const quantised = {
    codes,
    codes16: wide || fine ? codes16 : 0,
    scale,
    scaledSum,
    sums16,
    centre,
    rowPitch: byBlock ? 1 : perRow,
    blockPitch: byBlock ? R : 1,
  };
  queue.begin(QUANTISE_ROWS, arena, R * I <= ALONE_VALUES);
  queue.int(quantised.codes);
  queue.int(quantised.codes16);
  queue.int(scale);
  queue.int(scaledSum);
  queue.int(sums16);
  queue.int(centre);
  queue.int(x);
  queue.int(R);
  queue.int(I);
  queue.int(quantised.rowPitch);
  queue.int(quantised.blockPitch);
  queue.int(fine ? 32767 : 127);
  queue.int(limits);
  return quantised;
}
