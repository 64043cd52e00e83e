import type { ModelConfig } from "../config.ts";
import { badData } from "../errors.ts";
import type { StoredDType } from "./checkpoint.ts";
import { quote } from "../quote.ts";
import { type StoredTensor, storedTensor, type TensorPlace } from "./stored_tensor.ts";

/** How one container names and orders weights. */
export interface TensorLayout {
  /** The file's name of a tensor of `Checkpoint.tensors`. */
  fileName(name: string): string;
  /** Whether the rows of q and k are stored for the pairing (2c, 2c + 1). */
  readonly interleaved: boolean;
  /** Projections that have a bias vector; "as found" where the file alone says so. */
  readonly biases: ReadonlySet<Projection> | "as found";
  /** Tensors of the file that no computation needs. */
  ignores(fileName: string): boolean;
}

/** A tensor of a container before it is known to be one the model needs; `dtype` null where ds cannot read its type. */
export type FoundTensor = Omit<TensorPlace, "dtype"> & {
  readonly dtype: StoredDType | null;
  /** The file's own name of the type. */
  readonly typeName: string;
};

const PROJECTIONS = ["q", "k", "v", "o", "gate", "up", "down"] as const;
export type Projection = (typeof PROJECTIONS)[number];

/**
 * Finds every weight the model has, with its shape checked, and refuses tensors that have no place in it: they would
 * mean another network than the configuration describes.
 *
 * @throws {DsError} kind "bad-data"
 */
export function modelTensors(
  config: ModelConfig,
  found: ReadonlyMap<string, FoundTensor>,
  layout: TensorLayout,
  source: string,
): Map<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>();
  const taken = new Set<string>();
  const interleaved = layout.interleaved ? config.headDim : null;
  const take = (name: string, shape: readonly number[], rotary: boolean) => {
    const fileName = layout.fileName(name);
    const tensor = found.get(fileName);
    if (tensor === undefined) throw badData(source, `it has no tensor ${quote(fileName)}`);
    taken.add(fileName);
    tensors.set(name, storedTensor(checked(tensor, shape, source), rotary ? interleaved : null));
  };

  const { numLayers, hiddenSize: D, ffnSize: F, vocabSize: V, headDim: d } = config;
  const q = config.numHeads * d;
  const kv = config.numKvHeads * d;
  const shapes: Record<Projection, readonly [number, number]> = {
    q: [q, D],
    k: [kv, D],
    v: [kv, D],
    o: [D, q],
    gate: [F, D],
    up: [F, D],
    down: [D, F],
  };
  take("embedding", [V, D], false);
  for (let l = 0; l < numLayers; l++) {
    take(`layers.${l}.attentionNorm`, [D], false);
    take(`layers.${l}.ffnNorm`, [D], false);
    for (const projection of PROJECTIONS) {
      const rotary = projection === "q" || projection === "k";
      const name = `layers.${l}.${projection}`;
      take(name, shapes[projection], rotary);
      const hasBias = layout.biases === "as found"
        ? found.has(layout.fileName(`${name}.bias`))
        : layout.biases.has(projection);
      if (hasBias) take(`${name}.bias`, [shapes[projection][0]], rotary);
    }
  }
  take("finalNorm", [D], false);
  if (!config.tiedEmbeddings) take("output", [V, D], false);

  for (const fileName of found.keys()) {
    if (!taken.has(fileName) && !layout.ignores(fileName)) {
      throw badData(
        source,
        `its tensor ${quote(fileName)} has no place in a model of type ${config.architecture}`,
      );
    }
  }
  return tensors;
}

function checked(tensor: FoundTensor, shape: readonly number[], source: string): TensorPlace {
  const { name, dtype, typeName } = tensor;
  if (dtype === null) {
    throw badData(source, `its tensor ${quote(name)} has type ${quote(typeName)}, which ds does not read`);
  }
  if (tensor.shape.join() !== shape.join()) {
    const [needed, has] = [shape, tensor.shape].map((s) => `[${s.join(", ")}]`);
    throw badData(
      source,
      `its tensor ${quote(name)} must be ${needed} as its configuration says: found ${has}`,
    );
  }
  if (shape.length === 1 && dtype !== "f32" && dtype !== "f16" && dtype !== "bf16") {
    throw badData(source, `its vector ${quote(name)} must be f32, f16 or bf16: found ${dtype}`);
  }
  return { name, dtype, shape, file: tensor.file, offset: tensor.offset };
}
