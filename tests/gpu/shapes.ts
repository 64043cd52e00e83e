/** A decode step's attention that is timed, f16, heads of 128 channels, and what is asked of a backend on one H200 with it. */
export interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly batch: number;
  readonly context: number;
  readonly goals: Readonly<Record<string, StepGoals>>;
}

/** By mode: what is asked, for people. */
export interface StepGoals {
  readonly dense?: string;
  readonly sparse?: string;
}

export const HEAD_DIM = 128;

/** Whether everything works, on anything. */
export const SMALL: readonly AttentionShape[] = [{
  heads: 4,
  kvHeads: 2,
  batch: 1,
  context: 1024,
  goals: {},
}];

export const LARGE: readonly AttentionShape[] = [
  {
    heads: 32,
    kvHeads: 32,
    batch: 1,
    context: 32768,
    goals: {
      cuda: { dense: "<= 150 us", sparse: "<= 25 us, 6x" },
      webgpu: { dense: "50 % of copies", sparse: "5x" },
    },
  },
  {
    heads: 32,
    kvHeads: 32,
    batch: 8,
    context: 16384,
    goals: { webgpu: { dense: "50 % of copies", sparse: "8x" } },
  },
  {
    heads: 32,
    kvHeads: 32,
    batch: 32,
    context: 16384,
    goals: { cuda: { dense: ">= 3700 GB/s", sparse: "<= 250 us, 9x" } },
  },
  { heads: 32, kvHeads: 8, batch: 1, context: 8192, goals: { cuda: { dense: "<= 14 us" } } },
  { heads: 32, kvHeads: 8, batch: 1, context: 32768, goals: {} },
  {
    heads: 32,
    kvHeads: 8,
    batch: 8,
    context: 32768,
    goals: { cuda: { dense: "<= 300 us", sparse: "<= 40 us, 7x" } },
  },
  {
    heads: 32,
    kvHeads: 8,
    batch: 1,
    context: 131072,
    goals: { cuda: { dense: "<= 150 us", sparse: "<= 25 us, 6x" } },
  },
];

/** Tokens per second asked of whole decode steps of a Llama-2-7B in f16, batch 1. */
export const LLAMA_GOALS: ReadonlyMap<number, StepGoals> = new Map([
  [512, { dense: ">= 255 tokens/s" }],
  [32768, { sparse: ">= 220 tokens/s, 1.7x" }],
]);

export function shapeName({ heads, kvHeads, batch, context }: Omit<AttentionShape, "goals">): string {
  return `${heads}/${kvHeads} heads, b${batch}, ${context / 1024}k`;
}
