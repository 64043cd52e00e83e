import type { Calibration, CalibrationCorpus, ChannelRanking, Statistic } from "./calibration.ts";
import { FLOAT_FIELDS, floatShape, rankingHeads, STATISTICS } from "./calibration.ts";
import { calibrationFault, shapeFault } from "./calibration_fault.ts";
import type { CalibratedModel, ModelShape } from "./model_identity.ts";
import { quote } from "../core/quote.ts";

export const MODEL_KEYS = ["family", "fingerprint", "numLayers", "numHeads", "numKvHeads", "headDim", "rope"];
export const CORPUS_KEYS = ["name", "sha256", "tokens", "blockLength", "seed"];
const BODY_KEYS = [
  "model",
  "corpus",
  "rankings",
  "keyContext",
  ...FLOAT_FIELDS,
  "denseLayers",
  "toolVersion",
];

/** Arrays as any reader of MessagePack can use them: little-endian, the last axis fastest. */
export interface StoredArray {
  readonly dtype: "u8" | "f32";
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

type Refuse = (reason: string) => Error;

/**
 * A calibration out of a decoded body, in which every map is a `Map`.
 *
 * @param refuse makes the error to throw of a reason
 */
export function readBody(decoded: unknown, refuse: Refuse): Calibration {
  const body = record(decoded, "its body", BODY_KEYS, refuse);
  const model = readModel(body.get("model"), refuse);
  const rankings = new Map<Statistic, ChannelRanking>();
  const tables = record(body.get("rankings"), 'its "rankings"', STATISTICS, refuse, "some");
  for (const statistic of STATISTICS) {
    if (!tables.has(statistic)) continue;
    const heads = rankingHeads(statistic, model);
    const shape = [model.numLayers, heads, model.headDim];
    rankings.set(statistic, {
      heads,
      data: arrayBytes(tables.get(statistic), statistic, "u8", shape, refuse),
    });
  }
  const floats = new Map<string, Float32Array>();
  for (const field of FLOAT_FIELDS) {
    const stored = body.get(field);
    if (stored === null && field !== "budgets") continue;
    floats.set(field, floatsOf(arrayBytes(stored, field, "f32", floatShape(field, model), refuse)));
  }
  const keyContext = body.get("keyContext");
  const denseLayers = body.get("denseLayers");
  if (!Array.isArray(denseLayers)) throw refuse('its "denseLayers" must be an array');
  const calibration: Calibration = {
    model,
    corpus: readCorpus(body.get("corpus"), refuse),
    rankings,
    importance: floats.get("importance") ?? null,
    keyMean: floats.get("keyMean") ?? null,
    keyStd: floats.get("keyStd") ?? null,
    keyContext: keyContext === null ? null : integer(keyContext, "keyContext", refuse),
    layerRecall: floats.get("layerRecall") ?? null,
    predictionRecall: floats.get("predictionRecall") ?? null,
    headKl: floats.get("headKl") ?? null,
    budgets: floats.get("budgets")!,
    denseLayers: denseLayers.map((layer) => integer(layer, "denseLayers", refuse)),
    toolVersion: text(body.get("toolVersion"), "toolVersion", refuse),
  };
  const fault = calibrationFault(calibration);
  if (fault !== null) throw refuse(fault);
  return calibration;
}

function readModel(value: unknown, refuse: Refuse): CalibratedModel {
  const model = record(value, 'its "model"', MODEL_KEYS, refuse);
  const size = (name: string) => integer(model.get(name), name, refuse);
  const shape: ModelShape = {
    numLayers: size("numLayers"),
    numHeads: size("numHeads"),
    numKvHeads: size("numKvHeads"),
    headDim: size("headDim"),
  };
  const fault = shapeFault(shape);
  if (fault !== null) throw refuse(`its model's ${fault}`);
  const names = ["family", "fingerprint", "rope"];
  if (names.every((name) => model.get(name) === null)) {
    return { family: null, fingerprint: null, ...shape, rope: null };
  }
  const [family, fingerprint, rope] = names.map((name) => text(model.get(name), name, refuse));
  return { family: family!, fingerprint: fingerprint!, ...shape, rope: rope! };
}

function readCorpus(value: unknown, refuse: Refuse): CalibrationCorpus | null {
  if (value === null) return null;
  const corpus = record(value, 'its "corpus"', CORPUS_KEYS, refuse);
  return {
    name: text(corpus.get("name"), "name", refuse),
    sha256: text(corpus.get("sha256"), "sha256", refuse),
    tokens: integer(corpus.get("tokens"), "tokens", refuse),
    blockLength: integer(corpus.get("blockLength"), "blockLength", refuse),
    seed: integer(corpus.get("seed"), "seed", refuse),
  };
}

/** A map with all of these keys (or only "some" of them) and no other. */
function record(
  value: unknown,
  name: string,
  keys: readonly string[],
  refuse: Refuse,
  needed: "all" | "some" = "all",
): Map<string, unknown> {
  if (!(value instanceof Map)) throw refuse(`${name} must be a map`);
  for (const key of value.keys()) {
    if (!keys.includes(key)) throw refuse(`${name} has the unknown field ${quote(key)}`);
  }
  const missing = needed === "all" ? keys.find((key) => !value.has(key)) : undefined;
  if (missing !== undefined) throw refuse(`${name} has no field "${missing}"`);
  return value;
}

/** A copy of the bytes of an array that must have this type and shape. */
function arrayBytes(
  value: unknown,
  name: string,
  dtype: StoredArray["dtype"],
  shape: readonly number[],
  refuse: Refuse,
): Uint8Array<ArrayBuffer> {
  const stored = record(value, `its "${name}"`, ["dtype", "shape", "data"], refuse);
  const wanted = `${dtype} [${shape.join(", ")}]`;
  const foundShape = stored.get("shape");
  if (
    stored.get("dtype") !== dtype || !Array.isArray(foundShape) || foundShape.length !== shape.length ||
    !shape.every((size, i) => foundShape[i] === size)
  ) {
    throw refuse(`its "${name}" must be ${wanted}, as its model says, and is of another type or shape`);
  }
  const data = stored.get("data");
  const length = shape.reduce((a, b) => a * b, dtype === "f32" ? 4 : 1);
  if (!(data instanceof Uint8Array) || data.length !== length) {
    throw refuse(`its "${name}" must hold the ${length} bytes of ${wanted}`);
  }
  return new Uint8Array(data);
}

function integer(value: unknown, name: string, refuse: Refuse): number {
  if (typeof value !== "number" || !Number.isInteger(value)) throw refuse(`its "${name}" must be an integer`);
  return value;
}

function text(value: unknown, name: string, refuse: Refuse): string {
  if (typeof value !== "string") throw refuse(`its "${name}" must be text`);
  return value;
}

function floatsOf(bytes: Uint8Array<ArrayBuffer>): Float32Array {
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}
