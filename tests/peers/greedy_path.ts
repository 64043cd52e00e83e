/** A prompt and the continuation an exact engine makes of it. */
export interface GoldenPath {
  readonly name: string;
  readonly promptIds: readonly number[];
  /** The likeliest token at every step; null where no golden values are at hand. */
  readonly golden: {
    readonly ids: readonly number[];
    readonly margins: readonly number[];
  } | null;
}

/** What one engine chose along a path. */
export interface EnginePath {
  readonly engine: string;
  /** On its own: every choice is the next token. */
  readonly free: readonly number[];
  /** With the golden token coming next whatever was chosen; null without golden values. */
  readonly guided: readonly number[] | null;
}

export interface PathReport {
  readonly name: string;
  readonly tokens: number;
  /** Tokens the engines have in common before they part, each on its own. */
  readonly agreed: number;
  readonly engines: readonly {
    readonly engine: string;
    /** Tokens before it leaves the golden path, on its own; null without golden values. */
    readonly golden: number | null;
    /** Steps of the golden path where it chose another token. */
    readonly misses: readonly Miss[];
  }[];
  /** No engine missed a step that was no near tie. */
  readonly passed: boolean;
}

export interface Miss {
  readonly step: number;
  /** Between the best and the second logit. */
  readonly margin: number;
}

/**
 * Best minus second logit below which engines with 8-bit activations may choose differently: up to 0.2 says the golden
 * values' README, as a rounded number: llama.cpp leaves a path at 0.22.
 */
export const NEAR_TIE = 0.25;

export function comparePaths(
  { name, golden }: GoldenPath,
  engines: readonly EnginePath[],
): PathReport {
  const [first, second] = engines;
  const reports = engines.map(({ engine, free, guided }) => ({
    engine,
    golden: golden && sharedTokens(free, golden.ids),
    misses: golden === null || guided === null
      ? []
      : golden.margins.flatMap((margin, step) => guided[step] === golden.ids[step] ? [] : [{ step, margin }]),
  }));
  return {
    name,
    tokens: first.free.length,
    agreed: sharedTokens(first.free, second.free),
    engines: reports,
    passed: reports.every(({ misses }) => misses.every(({ margin }) => margin < NEAR_TIE)),
  };
}

/** Tokens two paths have in common at their beginning. */
export function sharedTokens(
  a: readonly number[],
  b: readonly number[],
): number {
  const parting = a.findIndex((id, i) => id !== b[i]);
  return parting < 0 ? a.length : parting;
}

export function describePath(
  { name, tokens, agreed, engines, passed }: PathReport,
): string {
  const lines = engines.map(({ engine, golden, misses }) => {
    if (golden === null) return "";
    const steps = misses.map(({ step, margin }) => `${step} (margin ${margin.toFixed(3)})`).join(", ");
    return `  ${engine}: golden for ${golden} tokens; other choice at ${steps === "" ? "no step" : steps}\n`;
  });
  const verdict = passed ? "" : ` FAILED: another choice where the margin is at least ${NEAR_TIE}`;
  return `${name}: ${agreed} of ${tokens} tokens the same${verdict}\n${lines.join("")}`;
}
