import { type Calibration, STATISTICS } from "../calibrations/calibration.ts";
import { importChannelConfig } from "../calibrations/channel_config.ts";
import { readChannelLists } from "../calibrations/channel_config_reader.ts";
import { describeModel } from "../calibrations/model_identity.ts";
import { badData } from "../core/errors.ts";
import { sha256Hex } from "../core/sha256.ts";
import { VERSION } from "../core/version.ts";
import { readCalibration } from "../runtime/calibrations.ts";
import { meanOf, rowsOf } from "./calibration_report.ts";
import type { CommandTerminal } from "./command_terminal.ts";
import { readBytes, readText } from "./input.ts";
import type { Inspection } from "./inspect.ts";
import { digits } from "./numbers.ts";
import { facts, table } from "./table.ts";

/** A .dscal file: whose it is, what it was made on, and what was measured in each layer. */
export async function inspectCalibration(path: string): Promise<Inspection> {
  const calibration = await readCalibration(path);
  const bytes = await readBytes(path, 2 ** 30);
  const described = describe(calibration);
  const layers = layerFacts(calibration);
  const { model, corpus } = calibration;
  const text = facts([
    ["calibration", path],
    ["for", describeModel(model)],
    [
      "made on",
      corpus === null
        ? "nothing: imported rankings"
        : `${corpus.name}: ${corpus.tokens} tokens in blocks of ${corpus.blockLength}, seed ${corpus.seed}`,
    ],
    ["rankings", described.rankings.join(", ")],
    ["keys measured", calibration.keyContext === null ? "no" : `to ${calibration.keyContext} tokens`],
    ["dense layers", calibration.denseLayers.length === 0 ? "none" : calibration.denseLayers.join(", ")],
    ["made by", `ds ${calibration.toolVersion}`],
  ]);
  const cell = (value: number | null) => value === null ? "-" : digits(value, 3);
  const rows = layers.map((layer) => [
    String(layer.layer),
    cell(layer.recall),
    cell(layer.predictionRecall),
    cell(layer.kl),
    layer.budgets.map((budget) => digits(budget, 2)).join(" "),
  ]);
  return {
    kind: "calibration",
    facts: { path, bytes: bytes.length, sha256: await sha256Hex(bytes), ...described, layers },
    text: `${text}\n${table(["layer", "recall", "prediction", "KL of heads", "budgets"], rows)}`,
  };
}

/** A published channel config (JSON). @param kvHeads null: as many as its k_proj has, else its query heads */
export async function inspectChannelConfig(
  path: string,
  kvHeads: number | null,
  terminal: CommandTerminal,
): Promise<Inspection> {
  const text = await readText(path, terminal);
  const kinds = new Map<string, { layers: number; heads: number }>();
  readChannelLists(text, path, (key, rows) => {
    const kind = /\.(q_proj|k_proj|qk_proj)$/.exec(key)?.[1];
    if (kind === undefined) return;
    kinds.set(kind, { layers: (kinds.get(kind)?.layers ?? 0) + 1, heads: rows.length });
  });
  const numKvHeads = kvHeads ?? kinds.get("k_proj")?.heads ?? kinds.get("qk_proj")?.heads ??
    kinds.get("q_proj")?.heads;
  if (numKvHeads === undefined) throw badData(path, "it has no q_proj, k_proj or qk_proj rankings");
  const { model } = importChannelConfig(text, path, { numKvHeads, toolVersion: VERSION });
  const { numLayers, numHeads, headDim } = model;
  const shape = { numLayers, numHeads, numKvHeads, headDim };
  return {
    kind: "channel-config",
    facts: { path, ...shape, rankings: [...kinds.keys()] },
    text: facts([
      ["channel config", path],
      ["shape", `${numLayers} layers, ${numHeads} heads, ${numKvHeads} KV heads, head dim ${headDim}`],
      ["rankings", [...kinds.keys()].join(", ")],
      ["identity", "none: the format holds rankings alone"],
    ]),
  };
}

function describe(calibration: Calibration) {
  const { model, corpus, rankings, denseLayers, keyContext, toolVersion } = calibration;
  return {
    model,
    corpus,
    rankings: STATISTICS.filter((statistic) => rankings.has(statistic)),
    keyContext,
    denseLayers,
    toolVersion,
  };
}

function layerFacts({ model, layerRecall, predictionRecall, headKl, budgets }: Calibration) {
  const { numLayers } = model;
  const recall = layerRecall === null ? null : rowsOf(layerRecall, numLayers);
  const kl = headKl === null ? null : rowsOf(headKl, numLayers);
  return rowsOf(budgets, numLayers).map((shares, layer) => ({
    layer,
    recall: recall === null ? null : meanOf(recall[layer]!),
    predictionRecall: predictionRecall === null ? null : predictionRecall[layer]!,
    kl: kl === null ? null : kl[layer]!.reduce((sum, value) => sum + value, 0),
    headRecall: recall === null ? null : recall[layer]!,
    headKl: kl === null ? null : kl[layer]!,
    budgets: shares,
  }));
}
