import type { ModelConfig } from "../config.ts";
import { badData } from "../errors.ts";
import type { FileSource } from "../files.ts";
import { assembledCheckpoint } from "./assembled.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { checkConfig } from "./config_check.ts";
import { type FoundTensor, modelTensors } from "./model_tensors.ts";

const HEADER_BYTES = 28;
/** First word of the project's later, versioned exports. */
const VERSIONED_MAGIC = 0x616b3432;

/** Per-layer tensors in file order, each stored for all layers together; the final norm and two unused tables follow. */
const PER_LAYER = ["attentionNorm", "q", "k", "v", "o", "ffnNorm", "gate", "down", "up"] as const;

/**
 * llama2.c's first format: seven int32 (D, F, L, Hq, Hk, V, context; V negative where the output matrix is not the
 * embedding), then f32 tensors in a fixed order. It has no magic number: what tells it apart is that the sizes give the
 * file's length exactly. The checkpoint closes `file`; where opening fails the caller does.
 *
 * @throws {DsError} kind "bad-data"
 */
export async function openLlama2c(file: FileSource): Promise<Checkpoint> {
  const config = await readConfig(file);
  const layout = {
    fileName: (name: string) => name,
    interleaved: true,
    biases: new Set<never>(),
    ignores: () => false,
  };
  return assembledCheckpoint({
    format: "llama2c",
    source: file.name,
    config,
    tensors: modelTensors(config, placedTensors(config, file), layout, file.name),
    tokenizer: null,
    chatTemplate: null,
    files: [file],
  });
}

async function readConfig(file: FileSource): Promise<ModelConfig> {
  if (file.size < HEADER_BYTES) {
    throw badData(file.name, `a llama2.c model has at least ${HEADER_BYTES} bytes: found ${file.size}`);
  }
  const header = await file.read(0, HEADER_BYTES);
  const view = new DataView(header.buffer, header.byteOffset);
  const [D, F, L, heads, kvHeads, V, context] = Array.from(
    { length: 7 },
    (_, i) => view.getInt32(4 * i, true),
  );
  if (D === VERSIONED_MAGIC) {
    throw badData(
      file.name,
      "it is a versioned llama2.c export; ds reads the first format (export.py --version 0)",
    );
  }
  if (heads < 1 || D < 1 || D % heads !== 0) {
    throw badData(file.name, `as a llama2.c model its ${heads} heads must divide its ${D} channels`);
  }
  return checkConfig({
    architecture: "llama",
    numLayers: L,
    hiddenSize: D,
    ffnSize: F,
    vocabSize: Math.abs(V),
    numHeads: heads,
    numKvHeads: kvHeads,
    headDim: D / heads,
    contextLength: context,
    rmsNormEpsilon: 1e-5,
    rope: { base: 10000, scaling: null },
    tiedEmbeddings: V > 0,
    bosTokenId: 1,
    // Models trained on concatenated stories never emit EOS (2): the BOS (1) of the next story ends one. Exported Llama 2
    // models do emit 2.
    eosTokenIds: [1, 2].filter((id) => id < Math.abs(V)),
  }, file.name);
}

function placedTensors(config: ModelConfig, file: FileSource): Map<string, FoundTensor> {
  const { numLayers, hiddenSize: D, ffnSize: F, vocabSize: V, numKvHeads, headDim, contextLength } = config;
  const shapes: Record<(typeof PER_LAYER)[number], readonly number[]> = {
    attentionNorm: [D],
    q: [D, D],
    k: [numKvHeads * headDim, D],
    v: [numKvHeads * headDim, D],
    o: [D, D],
    ffnNorm: [D],
    gate: [F, D],
    down: [D, F],
    up: [F, D],
  };
  const plan: [name: string, shape: readonly number[]][] = [["embedding", [V, D]]];
  for (const part of PER_LAYER) {
    for (let l = 0; l < numLayers; l++) plan.push([`layers.${l}.${part}`, shapes[part]]);
  }
  plan.push(["finalNorm", [D]]);
  // The file keeps tables of cosines and sines here that its own readers skip too.
  const tables: [string, readonly number[]] = ["", [contextLength, headDim]];
  const whole = config.tiedEmbeddings ? [...plan, tables] : [...plan, tables, ["output", [V, D]] as const];

  const tensors = new Map<string, FoundTensor>();
  let offset = HEADER_BYTES;
  for (const [name, shape] of whole) {
    if (name !== "") tensors.set(name, { name, dtype: "f32", typeName: "f32", shape, file, offset });
    offset += 4 * shape.reduce((product, size) => product * size, 1);
  }
  if (offset !== file.size) {
    throw badData(file.name, `as a llama2.c model its sizes need ${offset} bytes: found ${file.size}`);
  }
  return tensors;
}
