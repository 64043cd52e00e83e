import { badData, DsError } from "../core/errors.ts";
import { type FileSource, type FileSystem, MAX_BUFFER_BYTES } from "../core/files.ts";
import { asset } from "./assets.ts";
import { diskFiles, nameFault } from "./files.ts";

/** The model that is part of ds: a llama2.c model file and its tokenizer file. */
export interface EmbeddedModel {
  readonly model: Uint8Array<ArrayBuffer>;
  readonly tokenizer: Uint8Array<ArrayBuffer>;
}

/** Paths that begin so are served from memory. */
export const EMBEDDED_SCHEME = "embedded:";
/** The folder of the embedded model. */
export const EMBEDDED_FOLDER = `${EMBEDDED_SCHEME}stories260k`;
/** For `openCheckpoint(modelFiles, …)`. */
export const EMBEDDED_MODEL_PATH = `${EMBEDDED_FOLDER}/stories260K.bin`;
export const EMBEDDED_TOKENIZER_PATH = `${EMBEDDED_FOLDER}/tok512.bin`;

let read: EmbeddedModel | undefined;

/** @throws {DsError} kind "missing-input" where this copy of ds lacks the files */
export function embeddedModel(): EmbeddedModel {
  read ??= {
    model: asset("runtime/embedded/stories260K.bin"),
    tokenizer: asset("runtime/embedded/tok512.bin"),
  };
  return read;
}

function bytesAt(path: string): Uint8Array<ArrayBuffer> | null {
  if (path === EMBEDDED_MODEL_PATH) return embeddedModel().model;
  return path === EMBEDDED_TOKENIZER_PATH ? embeddedModel().tokenizer : null;
}

function memoryFile(name: string, bytes: Uint8Array<ArrayBuffer>): FileSource {
  return {
    name,
    size: bytes.length,
    read(offset, length) {
      const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
      if (!whole || offset < 0 || length < 0 || length > MAX_BUFFER_BYTES) {
        throw new RangeError(
          `Cannot read ${name} as offset and length must be non-negative integers, length at most ${MAX_BUFFER_BYTES}: ` +
            `found ${offset} and ${length}`,
        );
      }
      if (offset > bytes.length - length) {
        const reason = `bytes ${offset} to ${offset + length} are needed, but the file has ${bytes.length}`;
        return Promise.reject(badData(name, reason));
      }
      return Promise.resolve(bytes.slice(offset, offset + length));
    },
    close: () => Promise.resolve(),
  };
}

/** The disk, and the embedded model under `embedded:stories260k/`. */
export const modelFiles: FileSystem = {
  async open(path) {
    if (!path.startsWith(EMBEDDED_SCHEME)) return await diskFiles.open(path);
    const bytes = bytesAt(path);
    if (bytes !== null) return memoryFile(path, bytes);
    throw new DsError(
      "missing-input",
      `Cannot read ${path}: the embedded files are ${EMBEDDED_MODEL_PATH} and ${EMBEDDED_TOKENIZER_PATH}`,
    );
  },
  async kind(path) {
    if (!path.startsWith(EMBEDDED_SCHEME)) return await diskFiles.kind(path);
    if (path === EMBEDDED_FOLDER || path === `${EMBEDDED_FOLDER}/`) return "folder";
    return bytesAt(path) === null ? "missing" : "file";
  },
  async resolveInside(folder, name) {
    if (!folder.startsWith(EMBEDDED_SCHEME)) return await diskFiles.resolveInside(folder, name);
    const fault = nameFault(name);
    if (fault === null) return `${folder.replace(/\/$/, "")}/${name}`;
    throw badData(folder, `it names the file ${JSON.stringify(name)}, which is refused because ${fault}`);
  },
};
