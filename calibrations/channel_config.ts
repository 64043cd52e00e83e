/**
 * The published channel configs: one JSON object per model, `model.layers.{l}.self_attn.{q|k|qk}_proj` → for every head its
 * channels, the heaviest first, in the half-split RoPE layout. They hold no identity.
 *
 * @module
 */
import { badData, DsError } from "../core/errors.ts";
import { uniformBudgets } from "./budgets.ts";
import type { Calibration, ChannelRanking, Statistic } from "./calibration.ts";
import { shapeFault } from "./calibration_fault.ts";
import { readChannelLists } from "./channel_config_reader.ts";
import { quote } from "../core/quote.ts";
import { combineRankings, firstBadRanking, MAX_HEAD_DIM, repeatRankings } from "./ranking.ts";

/** In the order in which a layer's entries are written. */
const KINDS = ["q_proj", "k_proj", "qk_proj"] as const;
type Kind = (typeof KINDS)[number];

const ENTRY = /^model\.layers\.(0|[1-9][0-9]{0,3})\.self_attn\.(q_proj|k_proj|qk_proj)$/;
/** An entry that must not be passed over as another projection's. */
const ANY_RANKING = /(^|\.)(q_proj|k_proj|qk_proj)$/;

/** One kind's rankings, [layer] → u8 [heads, d]. */
type Tables = Map<Kind, Map<number, ChannelRanking>>;

export interface ChannelConfigOptions {
  /** Hk of the model: the file does not always tell it. */
  readonly numKvHeads: number;
  /** Of the ds that imports. */
  readonly toolVersion: string;
}

/**
 * A calibration of what a published config holds: "k", "qPerHead" and "qkPerHead" as they are, and from the last two "q" and
 * "qk", one ranking per KV head, by the mean rank over its query heads (`combineRankings`: orders are all the file tells).
 * Kinds the file lacks are lacking; entries of other projections are left out. `k_proj` may have a row per
 * query head if the rows of a KV head are equal. Published "q" and "k" lists were measured before RoPE, ds measures after it.
 *
 * @param text the JSON text
 * @param file for messages: the path as the user knows it
 * @throws {DsError} kind "bad-data"
 */
export function importChannelConfig(text: string, file: string, options: ChannelConfigOptions): Calibration {
  const { numKvHeads, toolVersion } = options;
  const tables = readTables(text, file);
  const queryKinds = [tables.get("q_proj"), tables.get("qk_proj")].filter((table) => table !== undefined);
  if (queryKinds.length === 0) {
    throw badData(
      file,
      "it must have self_attn.q_proj or self_attn.qk_proj rankings to tell its query heads",
    );
  }
  const numLayers = Math.max(...[...tables.values()].map((table) => table.size));
  const { heads: numHeads, data } = queryKinds[0].values().next().value!;
  const headDim = data.length / numHeads;
  const shape = { numLayers, numHeads, numKvHeads, headDim };
  const fault = shapeFault(shape);
  if (fault !== null) throw badData(file, `as a model's, its ${fault}`);

  const rankings = new Map<Statistic, ChannelRanking>();
  for (const kind of KINDS) {
    const table = tables.get(kind);
    if (table === undefined) continue;
    let ranking = joinLayers(table, numLayers, headDim, kind, file);
    if (kind === "k_proj") {
      if (ranking.heads !== numKvHeads) ranking = onePerKvHead(ranking, numKvHeads, headDim, file);
      rankings.set("k", ranking);
      continue;
    }
    if (ranking.heads !== numHeads) {
      throw badData(file, `its ${kind} must have ${numHeads} heads as q_proj has: found ${ranking.heads}`);
    }
    const shared = combineRankings(ranking.data, numHeads / numKvHeads, headDim);
    rankings.set(kind === "q_proj" ? "q" : "qk", { heads: numKvHeads, data: shared });
    rankings.set(kind === "q_proj" ? "qPerHead" : "qkPerHead", ranking);
  }
  return {
    model: { family: null, fingerprint: null, ...shape, rope: null },
    corpus: null,
    rankings,
    importance: null,
    keyMean: null,
    keyStd: null,
    keyContext: null,
    layerRecall: null,
    predictionRecall: null,
    headKl: null,
    budgets: uniformBudgets(numLayers * numKvHeads),
    denseLayers: [],
    toolVersion,
  };
}

/**
 * The published JSON of a calibration's rankings, laid out as the published files are: what was imported comes out with the same kinds
 * and values. Where there is no ranking per query head, the KV head's stands for each of its query heads.
 *
 * @throws {DsError} kind "usage" where the calibration holds none of the published kinds
 */
export function exportChannelConfig(calibration: Calibration): string {
  const { model, rankings } = calibration;
  const group = model.numHeads / model.numKvHeads;
  const perHead = (own: Statistic, shared: Statistic): Uint8Array | null => {
    const ranking = rankings.get(own);
    if (ranking !== undefined) return ranking.data;
    const data = rankings.get(shared)?.data;
    return data === undefined ? null : repeatRankings(data, group, model.headDim);
  };
  const tables: [Kind, Uint8Array | null, number][] = [
    ["q_proj", perHead("qPerHead", "q"), model.numHeads],
    ["k_proj", rankings.get("k")?.data ?? null, model.numKvHeads],
    ["qk_proj", perHead("qkPerHead", "qk"), model.numHeads],
  ];
  if (tables.every(([, data]) => data === null)) {
    throw new DsError(
      "usage",
      "Cannot export a calibration as the published format holds q, k and qk rankings: " +
        `found only ${[...rankings.keys()].join(", ")}; \`ds calibrate\` makes all of them`,
    );
  }
  const entries: string[] = [];
  for (let layer = 0; layer < model.numLayers; layer++) {
    for (const [kind, data, heads] of tables) {
      if (data === null) continue;
      const rows = Array.from({ length: heads }, (_, head) => {
        const from = (layer * heads + head) * model.headDim;
        return `[${data.subarray(from, from + model.headDim).join(", ")}]`;
      });
      entries.push(`"model.layers.${layer}.self_attn.${kind}": [${rows.join(", ")}]`);
    }
  }
  return `{${entries.join(", ")}}`;
}

function readTables(text: string, file: string): Tables {
  const tables: Tables = new Map();
  readChannelLists(text, file, (key, rows) => {
    const entry = ENTRY.exec(key);
    if (entry === null) {
      if (!ANY_RANKING.test(key)) return;
      throw badData(file, `its entry ${quote(key)} is not of the form "model.layers.0.self_attn.qk_proj"`);
    }
    const kind = entry[2] as Kind;
    const table = tables.get(kind) ?? new Map<number, ChannelRanking>();
    table.set(Number(entry[1]), { heads: rows.length, data: joinRows(rows, key, file) });
    tables.set(kind, table);
  });
  return tables;
}

/** [heads, d] of one entry. */
function joinRows(rows: readonly Uint16Array[], key: string, file: string): Uint8Array {
  const headDim = rows[0]?.length ?? 0;
  if (headDim === 0 || headDim > MAX_HEAD_DIM || rows.some((row) => row.length !== headDim)) {
    throw badData(file, `its entry ${quote(key)} must have rows of one length in 1..${MAX_HEAD_DIM}`);
  }
  const data = new Uint8Array(rows.length * headDim);
  rows.forEach((row, head) => data.set(row.map((channel) => Math.min(channel, 255)), head * headDim));
  const outside = rows.findIndex((row) => row.some((channel) => channel >= headDim));
  const bad = outside >= 0 ? outside : firstBadRanking(data, headDim);
  if (bad >= 0) {
    throw badData(
      file,
      `its entry ${quote(key)} must order channels 0..${headDim - 1}: row ${bad} does not`,
    );
  }
  return data;
}

/** [L, heads, d] of one kind. */
function joinLayers(
  table: ReadonlyMap<number, ChannelRanking>,
  numLayers: number,
  headDim: number,
  kind: Kind,
  file: string,
): ChannelRanking {
  const heads = table.values().next().value!.heads;
  const data = new Uint8Array(numLayers * heads * headDim);
  for (let layer = 0; layer < numLayers; layer++) {
    const entry = table.get(layer);
    if (entry === undefined) {
      throw badData(file, `it must have ${kind} of every layer up to the last: layer ${layer} is missing`);
    }
    if (entry.heads !== heads || entry.data.length !== heads * headDim) {
      throw badData(
        file,
        `its ${kind} of layer ${layer} must have ${heads} heads of ${headDim} channels: ` +
          `found ${entry.heads} heads of ${entry.data.length / entry.heads}`,
      );
    }
    data.set(entry.data, layer * heads * headDim);
  }
  return { heads, data };
}

/** The k rankings of an exporter that wrote each KV head's once per query head. */
function onePerKvHead(
  repeated: ChannelRanking,
  numKvHeads: number,
  headDim: number,
  file: string,
): ChannelRanking {
  const times = repeated.heads / numKvHeads;
  const data = new Uint8Array(Math.floor(repeated.data.length / times));
  let equal = Number.isInteger(times);
  for (let row = 0; equal && row < repeated.data.length / headDim; row++) {
    const ranking = repeated.data.subarray(row * headDim, (row + 1) * headDim);
    const at = Math.floor(row / times) * headDim;
    if (row % times === 0) data.set(ranking, at);
    else equal = ranking.every((channel, place) => channel === data[at + place]);
  }
  if (!equal) {
    throw badData(
      file,
      `its k_proj has ${repeated.heads} heads of their own, not ${numKvHeads}: give the model's number with --kv-heads`,
    );
  }
  return { heads: numKvHeads, data };
}
