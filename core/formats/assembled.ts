import type { ModelConfig } from "../config.ts";
import type { FileSource } from "../files.ts";
import { sha256Hex } from "../sha256.ts";
import type { Checkpoint, TokenizerSource } from "./checkpoint.ts";
import type { StoredTensor } from "./stored_tensor.ts";

export interface CheckpointParts {
  readonly format: Checkpoint["format"];
  readonly source: string;
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly tokenizer: TokenizerSource | null;
  readonly chatTemplate: string | null;
  /** Open files the tensors read from; closed with the checkpoint. */
  readonly files: readonly FileSource[];
}

export function assembledCheckpoint(parts: CheckpointParts): Checkpoint {
  const { format, source, config, tensors, tokenizer, chatTemplate, files } = parts;
  let weightBytes = 0;
  for (const tensor of tensors.values()) weightBytes += tensor.byteLength;
  let hash: Promise<string> | null = null;
  return {
    format,
    source,
    config,
    tensors,
    weightBytes,
    tokenizer,
    chatTemplate,
    fingerprint: () => hash ??= fingerprint(config, tensors),
    close: () => closeAll(files),
  };
}

/** Closes every file even where closing one fails. */
export async function closeAll(files: readonly FileSource[]): Promise<void> {
  const results = await Promise.allSettled(files.map((file) => file.close()));
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}

const SAMPLE_BYTES = 4096;

/** A hash of hashes, so that memory does not grow with the number of tensors. */
async function fingerprint(config: ModelConfig, tensors: ReadonlyMap<string, StoredTensor>): Promise<string> {
  const lines = [JSON.stringify(sorted(config))];
  for (const name of [...tensors.keys()].sort()) {
    const tensor = tensors.get(name)!;
    lines.push(`${name} ${tensor.dtype} [${tensor.shape.join()}] ${await sha256Hex(await samples(tensor))}`);
  }
  return await sha256Hex(new TextEncoder().encode(lines.join("\n")));
}

async function samples(tensor: StoredTensor): Promise<Uint8Array<ArrayBuffer>> {
  if (tensor.byteLength <= 2 * SAMPLE_BYTES) return await tensor.readStored(0, tensor.byteLength);
  const both = new Uint8Array(2 * SAMPLE_BYTES);
  both.set(await tensor.readStored(0, SAMPLE_BYTES));
  both.set(await tensor.readStored(tensor.byteLength - SAMPLE_BYTES, SAMPLE_BYTES), SAMPLE_BYTES);
  return both;
}

/** The order in which a reader happened to write the fields must not show in the hash. */
function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([k, v]) => [k, sorted(v)]),
  );
}
