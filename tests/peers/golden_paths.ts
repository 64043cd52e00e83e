import { sharedJson, sharedPath } from "../support/shared_data.ts";
import type { GoldenPath } from "./greedy_path.ts";

const FILE = "golden/smollm2-greedy.json";

interface GoldenCase {
  readonly prompt: string;
  readonly promptTokenIds: readonly number[];
  readonly generatedTokenIds: readonly number[];
  readonly marginOrder: readonly number[];
}

/** "The capital of France is" in smollm2-135m's tokens. */
const OWN_PROMPT = [504, 3575, 282, 4649, 314];

/** Prompts of smollm2-135m; where the golden values are absent, one without an expected path. */
export function goldenPaths(onlyFirst: boolean): GoldenPath[] {
  if (sharedPath(FILE) === null) {
    return [{
      name: "The capital of France is",
      promptIds: OWN_PROMPT,
      golden: null,
    }];
  }
  const cases: readonly GoldenCase[] = sharedJson(FILE).cases;
  return cases.slice(0, onlyFirst ? 1 : undefined).map((one) => ({
    name: JSON.stringify(one.prompt.slice(0, 40)),
    promptIds: one.promptTokenIds,
    golden: { ids: one.generatedTokenIds, margins: one.marginOrder },
  }));
}
