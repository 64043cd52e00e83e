/**
 * The artifact `*.dscal`: "DSCAL", a version byte, the SHA-256 of the body, and the body, one MessagePack map. The format field by
 * field: README.md beside this file. This is the only file that knows msgpack.
 *
 * @module
 */
import { Packr, Unpackr } from "msgpackr";
import { badData } from "../core/errors.ts";
import { CORPUS_KEYS, MODEL_KEYS, readBody, type StoredArray } from "./artifact_body.ts";
import type { Calibration } from "./calibration.ts";
import { FLOAT_FIELDS, floatShape, STATISTICS } from "./calibration.ts";
import { calibrationFault } from "./calibration_fault.ts";
import { msgpackFault } from "./msgpack_scan.ts";

export const ARTIFACT_VERSION = 1;

/** The artifact of a 70B model takes about 3 MB; files larger than this are refused unread. */
export const MAX_ARTIFACT_BYTES = 64 * 2 ** 20;

const MAGIC = new TextEncoder().encode("DSCAL");
const HASH_AT = MAGIC.length + 1;
const BODY_AT = HASH_AT + 32;

/**
 * The bytes of a `*.dscal` file: the same for the same calibration on every runtime.
 *
 * @throws {TypeError} the record breaks a rule of `calibrationFault`
 * @throws {RangeError} the file would be larger than 64 MiB
 */
export async function encodeCalibration(calibration: Calibration): Promise<Uint8Array<ArrayBuffer>> {
  const fault = calibrationFault(calibration);
  if (fault !== null) throw new TypeError(`Cannot encode a calibration as ${fault}`);

  const { model, corpus, rankings } = calibration;
  const tables: Record<string, StoredArray> = {};
  for (const statistic of STATISTICS) {
    const ranking = rankings.get(statistic);
    if (ranking === undefined) continue;
    const shape = [model.numLayers, ranking.heads, model.headDim];
    tables[statistic] = { dtype: "u8", shape, data: ranking.data };
  }
  const body: Record<string, unknown> = {
    model: pick(model, MODEL_KEYS),
    corpus: corpus === null ? null : pick(corpus, CORPUS_KEYS),
    rankings: tables,
    keyContext: calibration.keyContext,
  };
  for (const field of FLOAT_FIELDS) {
    const values = calibration[field];
    body[field] = values === null
      ? null
      : { dtype: "f32", shape: floatShape(field, model), data: floatBytes(values) };
  }
  body.denseLayers = [...calibration.denseLayers];
  body.toolVersion = calibration.toolVersion;

  // Records are an extension of msgpackr's own that no other reader of MessagePack knows.
  const packed = new Packr({ useRecords: false, variableMapSize: true }).pack(body);
  const file = new Uint8Array(BODY_AT + packed.length);
  if (file.length > MAX_ARTIFACT_BYTES) {
    throw new RangeError(
      `Cannot encode a calibration of ${file.length} bytes as files may have ${MAX_ARTIFACT_BYTES}`,
    );
  }
  file.set(MAGIC);
  file[MAGIC.length] = ARTIFACT_VERSION;
  file.set(packed, BODY_AT);
  file.set(await sha256(file.subarray(BODY_AT)), HASH_AT);
  return file;
}

/**
 * Reads a `*.dscal` file and believes nothing of it: size, version, checksum, the structure of the body and then every field are checked
 * in this order, so that no later step sees what an earlier one would have refused.
 *
 * @param file for messages: the path as the user knows it
 * @throws {DsError} kind "bad-data"
 */
export async function decodeCalibration(bytes: Uint8Array, file: string): Promise<Calibration> {
  if (bytes.length > MAX_ARTIFACT_BYTES) {
    throw badData(file, `it has ${bytes.length} bytes, and a calibration has at most ${MAX_ARTIFACT_BYTES}`);
  }
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) {
    throw badData(file, 'it is no calibration, as it does not begin with "DSCAL"');
  }
  if (bytes.length <= BODY_AT) throw badData(file, `it is cut off after ${bytes.length} bytes`);
  const version = bytes[MAGIC.length];
  if (version !== ARTIFACT_VERSION) {
    const advice = version > ARTIFACT_VERSION ? "a newer ds wrote it" : "make it anew with `ds calibrate`";
    throw badData(file, `its format version is ${version}, and this ds reads ${ARTIFACT_VERSION}: ${advice}`);
  }
  // Not `slice`: of a Buffer that is a view, and what was checked must be what is decoded.
  const body = new Uint8Array(bytes.subarray(BODY_AT));
  const hash = await sha256(body);
  if (hash.some((byte, i) => bytes[HASH_AT + i] !== byte)) {
    throw badData(file, "its checksum does not match its content: it was damaged or cut off");
  }
  const fault = msgpackFault(body);
  if (fault !== null) throw badData(file, fault);
  const decoded: unknown = new Unpackr({ useRecords: false, mapsAsObjects: false }).unpack(body);
  return readBody(decoded, (reason) => badData(file, reason));
}

function pick<T extends object>(from: T, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.map((key) => [key, from[key as keyof T]]));
}

function floatBytes(values: Float32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  values.forEach((value, i) => view.setFloat32(4 * i, value, true));
  return new Uint8Array(view.buffer);
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
