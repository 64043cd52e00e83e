/** The label of a key: its heavy channels in 4 and 2 bits, packed into 32-bit words (METHOD.md). */
import type { LabelLayout } from "./backend.ts";

/** Codes per 32-bit word. */
export const WIDE_PER_WORD = 8;
export const NARROW_PER_WORD = 16;

/** The step of the uniform quantiser with the least squared error on a Gaussian of deviation 1: 16 and 4 levels. */
export const WIDE_STEP = 0.3352;
export const NARROW_STEP = 0.9957;

/**
 * d/8 wide and d/4 narrow channels, rounded up to whole words and together at most d: 1/16 of the bytes of f16 keys.
 *
 * @throws {RangeError} fewer than 8 channels do not fill a word
 */
export function defaultLabelLayout(headDim: number): LabelLayout {
  if (!Number.isSafeInteger(headDim) || headDim < WIDE_PER_WORD) {
    throw new RangeError(`Cannot label keys as a head must have 8 channels or more: found ${headDim}`);
  }
  const wide = WIDE_PER_WORD * Math.ceil(headDim / 8 / WIDE_PER_WORD);
  const narrow = NARROW_PER_WORD * Math.ceil(headDim / 4 / NARROW_PER_WORD);
  const room = NARROW_PER_WORD * Math.floor((headDim - wide) / NARROW_PER_WORD);
  return { wide, narrow: Math.min(narrow, room) };
}

/**
 * Reads `8x4+16x2`, `16x4` or `32x2`: channels × bits.
 *
 * @throws {RangeError} not of that form, or not whole words
 */
export function parseLabelLayout(text: string): LabelLayout {
  const wanted = `Cannot read the label layout "${text}" as it must be like 8x4+16x2`;
  let wide = 0;
  let narrow = 0;
  const seen = new Set<string>();
  for (const part of text.trim().split("+")) {
    const match = /^\s*([0-9]{1,6})x([24])\s*$/.exec(part);
    if (match === null) throw new RangeError(`${wanted}, channels x bits of 4 and 2: found "${part}"`);
    if (seen.has(match[2])) throw new RangeError(`${wanted}: found ${match[2]} bits twice`);
    seen.add(match[2]);
    if (match[2] === "4") wide = Number(match[1]);
    else narrow = Number(match[1]);
  }
  if (wide % WIDE_PER_WORD !== 0 || narrow % NARROW_PER_WORD !== 0 || wide + narrow === 0) {
    throw new RangeError(
      `${wanted}, with a multiple of 8 channels at 4 bits and of 16 at 2 bits: found ${wide} and ${narrow}`,
    );
  }
  return { wide, narrow };
}

export function printLabelLayout({ wide, narrow }: LabelLayout): string {
  const parts: string[] = [];
  if (wide > 0) parts.push(`${wide}x4`);
  if (narrow > 0) parts.push(`${narrow}x2`);
  return parts.join("+");
}

/** C: channels with a code. */
export function labelChannels({ wide, narrow }: LabelLayout): number {
  return wide + narrow;
}

/** W: 32-bit words per token and KV head. */
export function labelWords({ wide, narrow }: LabelLayout): number {
  return wide / WIDE_PER_WORD + narrow / NARROW_PER_WORD;
}

/** Bytes per token and KV head. */
export function labelBytes(layout: LabelLayout): number {
  return 4 * labelWords(layout);
}

/** α: bytes of labels over bytes of f16 keys. */
export function channelSparsity(layout: LabelLayout, headDim: number): number {
  return labelBytes(layout) / (2 * headDim);
}

/** The largest code of channel `c` of the layout: 15 or 3. */
export function largestCode(layout: LabelLayout, c: number): number {
  return c < layout.wide ? 15 : 3;
}

/** How one KV head's keys become codes; f32 [C] each, in the order of its channels. */
export interface Quantiser {
  readonly zero: Float32Array;
  readonly step: Float32Array;
  readonly inverseStep: Float32Array;
}

/**
 * The quantiser of keys with these means and standard deviations (f32 [C], in the order of the layout's channels), each
 * operation rounded to f32. A channel that never varies gets inverseStep 0: its code is always 0.
 */
export function quantiser(
  layout: LabelLayout,
  mean: ArrayLike<number>,
  deviation: ArrayLike<number>,
): Quantiser {
  const count = labelChannels(layout);
  const zero = new Float32Array(count);
  const step = new Float32Array(count);
  const inverseStep = new Float32Array(count);
  for (let c = 0; c < count; c++) {
    const isWide = c < layout.wide;
    step[c] = Math.fround(deviation[c]) * Math.fround(isWide ? WIDE_STEP : NARROW_STEP);
    zero[c] = Math.fround(mean[c]) - Math.fround(step[c] * (isWide ? 7.5 : 1.5));
    const inverse = Math.fround(1 / step[c]);
    inverseStep[c] = Number.isFinite(inverse) ? inverse : 0;
  }
  return { zero, step, inverseStep };
}
