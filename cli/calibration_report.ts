import type { Calibration } from "../calibrations/calibration.ts";
import { jsonLine } from "./json.ts";
import { bytesText, digits } from "./numbers.ts";
import { facts } from "./table.ts";
import type { Terminal } from "./terminal.ts";

export interface WrittenFile {
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly seconds: number;
}

/** Rows of L from [L, H]. */
export function rowsOf(values: Float32Array, rows: number): number[][] {
  const width = values.length / rows;
  return Array.from(
    { length: rows },
    (_, row) => Array.from(values.subarray(row * width, (row + 1) * width)),
  );
}

export function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}

/** What `ds calibrate` says when it is done. */
export function reportCalibration(calibration: Calibration, file: WrittenFile, terminal: Terminal): void {
  const { corpus, denseLayers, layerRecall, model } = calibration;
  const recall = layerRecall === null ? null : rowsOf(layerRecall, model.numLayers).map(meanOf);
  if (terminal.json) {
    terminal.out(jsonLine({
      ...file,
      tokens: corpus?.tokens ?? 0,
      blockLength: corpus?.blockLength ?? null,
      corpus: corpus?.name ?? null,
      model: model.family === null ? null : { family: model.family, fingerprint: model.fingerprint },
      layerRecall: recall,
      denseLayers,
    }));
    return;
  }
  terminal.out(facts([
    ["wrote", `${file.path} (${bytesText(file.bytes)})`],
    ["sha256", file.sha256],
    [
      "corpus",
      corpus === null
        ? "none: rankings as imported"
        : `${corpus.name}, ${corpus.tokens} tokens in blocks of ${corpus.blockLength}`,
    ],
    [
      "recall",
      recall === null
        ? "not measured"
        : `${digits(meanOf(recall), 3)} of the attention mass at 1/16, least in a layer ${
          digits(Math.min(...recall), 3)
        }`,
    ],
    ["dense layers", denseLayers.length === 0 ? "none" : denseLayers.join(", ")],
    ["took", `${digits(file.seconds, 3)} s`],
  ]));
}
