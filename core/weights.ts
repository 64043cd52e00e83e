import type { Backend, DeviceInfo, Tensor } from "./backend.ts";
import type { ModelConfig } from "./config.ts";
import { bytesOf, type DType } from "./dtype.ts";
import { badData } from "./errors.ts";
import type { Checkpoint, CheckpointTensor } from "./formats/checkpoint.ts";
import { decodeRows, storedBlock, storedBytes } from "./quantisation.ts";
import { encodeQ8_0 } from "./quantisation/encode.ts";
import { ropeTable } from "./rope.ts";
import { bytesOfArray } from "./tensor_io.ts";

/** Rows of a projection that share a type; several where a file mixes types inside one packed projection. */
export interface ProjectionPart {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  /** First column of the output. */
  readonly column: number;
}

export type Projection = readonly ProjectionPart[];

export interface LayerWeights {
  readonly attentionNorm: Tensor; // f32 [D]
  readonly qkv: Projection; // [(Hq + 2·Hk)·d, D]
  readonly o: Projection; // [D, Hq·d]
  readonly ffnNorm: Tensor; // f32 [D]
  readonly gateUp: Projection; // [2·F, D]
  readonly down: Projection; // [D, F]
}

export interface Weights {
  readonly embedding: Tensor; // [V, D]
  readonly layers: readonly LayerWeights[];
  readonly finalNorm: Tensor; // f32 [D]
  readonly output: Tensor; // [V, D]; the embedding where tied
  readonly ropeTable: Tensor; // f32 [context, 2, d/2]
}

export interface LoadOptions {
  /** Positions the rotary table covers. */
  readonly context: number;
  /** Only memory is taken: nothing is read or made. */
  readonly isRehearsal?: boolean;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/**
 * The type a device holds a stored weight as: vectors as f32, matrices as they are where it keeps their type, else packed ones as
 * it asks for, and whatever is left as f32.
 */
export function heldDType(
  { dtype, shape }: Pick<CheckpointTensor, "dtype" | "shape">,
  device: DeviceInfo,
): DType {
  if (shape.length === 1) return "f32";
  const kept = device.weightDtypes.find((one) => one === dtype);
  if (kept !== undefined) return kept;
  return storedBlock(dtype).values > 1 ? device.otherWeights ?? "f32" : "f32";
}

/** Rows are moved in pieces of about this size as f32: memory stays near the weights themselves. */
const PIECE_BYTES = 4 * 2 ** 20;
/** Pieces are whole multiples of so many rows where rows are that small: heads are, and what backends repack together. */
const PIECE_ROWS = 64;

/**
 * Moves a checkpoint's weights onto a backend, in the types `heldDType` says. Where that fails nothing stays allocated.
 *
 * @throws {DsError} kind "bad-data" where a tensor is missing or has another shape than the configuration says
 */
export async function loadWeights(
  backend: Backend,
  checkpoint: Checkpoint,
  options: LoadOptions,
): Promise<Weights> {
  const loader = new Loader(backend, checkpoint, options);
  try {
    return await loadAll(loader, checkpoint, options.context);
  } catch (error) {
    loader.free();
    throw error;
  }
}

async function loadAll(loader: Loader, { config, tensors }: Checkpoint, context: number): Promise<Weights> {
  const { hiddenSize: D, ffnSize: F, vocabSize: V, numHeads: Hq, numKvHeads: Hk, headDim: d } = config;
  const embedding = await loader.matrix("embedding", V, D);
  const layers: LayerWeights[] = [];
  for (let l = 0; l < config.numLayers; l++) {
    const at = `layers.${l}.`;
    layers.push({
      attentionNorm: await loader.vector(`${at}attentionNorm`, D),
      qkv: await loader.projection([[`${at}q`, Hq * d], [`${at}k`, Hk * d], [`${at}v`, Hk * d]], D),
      o: await loader.projection([[`${at}o`, D]], Hq * d),
      ffnNorm: await loader.vector(`${at}ffnNorm`, D),
      gateUp: await loader.projection([[`${at}gate`, F], [`${at}up`, F]], D),
      down: await loader.projection([[`${at}down`, D]], F),
    });
  }
  const finalNorm = await loader.vector("finalNorm", D);
  const output = tensors.has("output") ? await loader.matrix("output", V, D) : loader.tied(config, embedding);
  const table = loader.own(() => ropeTable(config.rope, d, context), [context, 2, d / 2]);
  return { embedding, layers, finalNorm, output, ropeTable: table };
}

class Loader {
  private readonly backend: Backend;
  private readonly checkpoint: Checkpoint;
  private readonly onProgress: LoadOptions["onProgress"];
  private readonly isRehearsal: boolean;
  private readonly owned: Tensor[] = [];
  /** Every piece passes through it. */
  private piece = new Uint8Array(0);
  private floats = new Float32Array(0);
  private done = 0;

  constructor(backend: Backend, checkpoint: Checkpoint, { onProgress, isRehearsal = false }: LoadOptions) {
    this.backend = backend;
    this.checkpoint = checkpoint;
    this.onProgress = onProgress;
    this.isRehearsal = isRehearsal;
  }

  free(): void {
    for (const tensor of this.owned.splice(0)) this.backend.free(tensor);
  }

  /** A tensor of values that come from no file. */
  own(values: () => Float32Array, shape: readonly number[]): Tensor {
    const tensor = this.alloc("f32", shape);
    if (!this.isRehearsal) this.backend.upload(tensor, bytesOfArray(values()));
    return tensor;
  }

  tied(config: ModelConfig, embedding: Tensor): Tensor {
    if (config.tiedEmbeddings) return embedding;
    throw badData(
      this.checkpoint.source,
      "it has no output weights and does not say its embeddings are tied",
    );
  }

  async vector(name: string, size: number): Promise<Tensor> {
    const stored = this.find(name, [size]);
    const tensor = this.alloc("f32", [size]);
    await this.move(stored, 1, tensor, 0);
    return tensor;
  }

  async matrix(name: string, rows: number, columns: number): Promise<Tensor> {
    const stored = this.find(name, [rows, columns]);
    const tensor = this.alloc(heldDType(stored, this.backend.device), [rows, columns]);
    await this.move(stored, rows, tensor, 0);
    return tensor;
  }

  /** Stacks matrices of equal input size; neighbours of one type become one part. */
  async projection(pieces: readonly (readonly [string, number])[], columns: number): Promise<Projection> {
    const stored = pieces.map(([name, rows]) => ({
      name,
      rows,
      tensor: this.find(name, [rows, columns]),
      hasBias: this.checkpoint.tensors.has(`${name}.bias`),
    }));
    const parts: ProjectionPart[] = [];
    let column = 0;
    for (let first = 0; first < stored.length;) {
      const { tensor: { dtype }, hasBias } = stored[first];
      let last = first + 1;
      while (
        last < stored.length && stored[last].tensor.dtype === dtype && stored[last].hasBias === hasBias
      ) last++;
      const group = stored.slice(first, last);
      const rows = group.reduce((sum, piece) => sum + piece.rows, 0);
      const weight = this.alloc(heldDType(group[0].tensor, this.backend.device), [rows, columns]);
      const biases = hasBias ? new Float32Array(rows) : null;
      let row = 0;
      for (const piece of group) {
        await this.move(piece.tensor, piece.rows, weight, row);
        biases?.set(await this.values(`${piece.name}.bias`, piece.rows), row);
        row += piece.rows;
      }
      const bias = biases && this.own(() => biases, [rows]);
      parts.push({ weight, bias, column });
      column += rows;
      first = last;
    }
    return parts;
  }

  private alloc(dtype: DType, shape: readonly number[]): Tensor {
    const tensor = this.backend.alloc({ dtype, shape });
    this.owned.push(tensor);
    return tensor;
  }

  private find(name: string, shape: readonly number[]): CheckpointTensor {
    const { tensors, source } = this.checkpoint;
    const tensor = tensors.get(name);
    if (tensor === undefined) throw badData(source, `it has no tensor for ${name}`);
    if (tensor.shape.join() !== shape.join()) {
      throw badData(
        source,
        `tensor ${tensor.name} is [${tensor.shape.join(", ")}], its configuration needs [${
          shape.join(", ")
        }]`,
      );
    }
    return tensor;
  }

  private async move(
    stored: CheckpointTensor,
    rows: number,
    target: Tensor,
    firstRow: number,
  ): Promise<void> {
    if (this.isRehearsal) return;
    const columns = stored.shape[stored.shape.length - 1];
    const rowBytes = bytesOf(target.dtype, columns);
    const perPiece = rowsPerPiece(columns);
    const storedRowBytes = storedBytes(stored.dtype, columns);
    if (this.piece.length < Math.min(perPiece, rows) * storedRowBytes) {
      this.piece = new Uint8Array(Math.min(perPiece, rows) * storedRowBytes);
    }
    for (let row = 0; row < rows; row += perPiece) {
      const count = Math.min(perPiece, rows - row);
      const bytes = await stored.readRows(row, count, this.piece);
      const held = this.converted(stored, bytes, count * columns, target.dtype);
      this.backend.upload(target, held, (firstRow + row) * rowBytes);
      this.done += bytes.byteLength;
      this.onProgress?.(this.done, this.checkpoint.weightBytes);
    }
  }

  private async values(name: string, size: number): Promise<Float32Array> {
    const stored = this.find(name, [size]);
    if (this.isRehearsal) return new Float32Array(size);
    const bytes = await stored.readRows(0, 1);
    this.done += bytes.byteLength;
    return this.decode(stored, bytes, size);
  }

  private converted(stored: CheckpointTensor, bytes: Uint8Array, count: number, dtype: DType): Uint8Array {
    if (stored.dtype === dtype) return bytes;
    const values = this.decode(stored, bytes, count);
    return dtype === "q8_0" ? encodeQ8_0(values) : bytesOfArray(values);
  }

  private decode(stored: CheckpointTensor, bytes: Uint8Array, count: number): Float32Array {
    if (this.floats.length < count) this.floats = new Float32Array(count);
    const values = this.floats.subarray(0, count);
    decodeRows(stored.dtype, bytes, values);
    return values;
  }
}

function rowsPerPiece(columns: number): number {
  const most = Math.max(1, Math.floor(PIECE_BYTES / (columns * 4)));
  return most < PIECE_ROWS ? most : most - most % PIECE_ROWS;
}

/** Every tensor of a model, for freeing. */
export function tensorsOf(weights: Weights): Set<Tensor> {
  const all = new Set<Tensor>([weights.embedding, weights.finalNorm, weights.output, weights.ropeTable]);
  for (const layer of weights.layers) {
    all.add(layer.attentionNorm).add(layer.ffnNorm);
    for (const part of [...layer.qkv, ...layer.o, ...layer.gateUp, ...layer.down]) {
      all.add(part.weight);
      if (part.bias !== null) all.add(part.bias);
    }
  }
  return all;
}
