import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { decodeCalibration, MAX_ARTIFACT_BYTES } from "../calibrations/artifact.ts";
import { cutBlocks } from "../calibrations/blocks.ts";
import { calibrate, type CalibrateProgress } from "../calibrations/calibrate.ts";
import type { Calibration, ChannelRanking, Statistic } from "../calibrations/calibration.ts";
import { matchesModel, type ModelIdentity } from "../calibrations/model_identity.ts";
import { badData, DsError } from "../core/errors.ts";
import { sha256Hex } from "../core/sha256.ts";
import { VERSION } from "../core/version.ts";
import { asset } from "./assets.ts";
import { cannotRead } from "./failures.ts";
import { dsFolders } from "./folders.ts";
import type { LoadedModel } from "./load.ts";

/** Calibrations that come with ds; `calibrations/README.md` tells how each was made. */
const SHIPPED = ["calibrations/smollm2-135m.dscal"];

/** @throws {DsError} kind "missing-input", "io" or "bad-data" */
export async function readCalibration(path: string): Promise<Calibration> {
  let bytes: Uint8Array;
  try {
    const facts = await stat(path);
    if (!facts.isFile()) throw badData(path, "it is not a file");
    if (facts.size > MAX_ARTIFACT_BYTES) {
      throw badData(path, `it is ${facts.size} bytes, a calibration is at most ${MAX_ARTIFACT_BYTES}`);
    }
    bytes = await readFile(path);
  } catch (error) {
    throw error instanceof DsError ? error : cannotRead(path, error);
  }
  return await decodeCalibration(bytes, path);
}

/** Where the quick calibration of a model that has no other is kept. */
export function cachedCalibrationPath(identity: ModelIdentity): string {
  return join(dsFolders().cache, "calibrations", `${identity.fingerprint.slice(0, 32)}.dscal`);
}

/** The calibration that ships with ds for this model, else the one in the cache, else null. */
export async function findCalibration(
  identity: ModelIdentity,
): Promise<{ path: string; calibration: Calibration } | null> {
  const cached = cachedCalibrationPath(identity);
  const readers: [string, () => Promise<Calibration>][] = [
    ...SHIPPED.map((
      path,
    ): [string, () => Promise<Calibration>] => [path, () => decodeCalibration(asset(path), path)]),
    [cached, () => readCalibration(cached)],
  ];
  for (const [path, read] of readers) {
    try {
      const calibration = await read();
      if (matchesModel(calibration, identity)) return { path, calibration };
    } catch (error) {
      // A cached file that went bad is made anew; a shipped one may be absent in a cut-down copy.
      if (!(error instanceof DsError)) throw error;
    }
  }
  return null;
}

export interface CalibrateTextOptions {
  readonly text: string;
  /** For the record. */
  readonly corpusName: string;
  readonly tokens: number;
  readonly blockLength: number;
  readonly seed?: number;
  readonly quick: boolean;
  readonly rankings?: ReadonlyMap<Statistic, ChannelRanking>;
  readonly onProgress?: (progress: CalibrateProgress) => void;
  readonly signal?: AbortSignal;
}

/**
 * Calibrates a loaded model on a text.
 *
 * @throws {DsError} kind "bad-data" where the text is too short, "usage" where the model has no tokenizer
 */
export async function calibrateText(
  loaded: LoadedModel,
  options: CalibrateTextOptions,
): Promise<Calibration> {
  if (loaded.tokenizer === null) {
    throw new DsError(
      "usage",
      `Cannot calibrate ${loaded.name} on text: it has no tokenizer; give one with --tokenizer`,
    );
  }
  const seed = options.seed ?? 0;
  // Blocks are consecutive text, as in use: no token is put in front of them.
  const ids = loaded.tokenizer.encode(options.text, { addSpecial: false });
  const blocks = cutBlocks(ids, { ...options, seed, name: options.corpusName });
  return await calibrate(loaded.model, blocks, {
    identity: loaded.identity,
    corpus: {
      name: options.corpusName,
      sha256: await sha256Hex(new TextEncoder().encode(options.text)),
      seed,
    },
    toolVersion: VERSION,
    quick: options.quick,
    ...(options.rankings && { rankings: options.rankings }),
    ...(options.onProgress && { onProgress: options.onProgress }),
    ...(options.signal && { signal: options.signal }),
  });
}
