import { closeSync, openSync, writeSync } from "node:fs";
import { bytesOfArray, encodeFloats } from "../../core/tensor_io.ts";
import { ggufFile, type GgufTensorItem } from "../support/gguf_file.ts";
import { normals, seededRandom } from "../support/seeded_random.ts";
import { tinyGgufPlan, type TinyLlamaSizes, tinyShapes } from "../support/tiny_llama.ts";

/** As Llama-2-7B: 13.5 GB in f16. */
export const LLAMA_2_7B: TinyLlamaSizes = {
  layers: 32,
  hidden: 4096,
  ffn: 11008,
  heads: 32,
  kvHeads: 32,
  headDim: 128,
  vocab: 32000,
  context: 32768,
  tied: false,
};

/** Numbers of the types in a GGUF file. */
const F32 = 0;
const F16 = 1;
const ALIGNMENT = 32;
/** Normals drawn; matrices are these, over and over: what is timed does not depend on them. */
const DRAWN = 2 ** 20 + 64;

/**
 * Writes a Llama of random f16 matrices and norms of 1 to `path`, a GGUF with a vocabulary, piece by piece: the whole of it fits
 * no array.
 */
export function writeRandomLlama(path: string, sizes: TinyLlamaSizes, seed: number): void {
  const none = new Map([...tinyShapes(sizes).keys()].map((name) => [name, new Float32Array(0)]));
  const { metadata, tensors } = tinyGgufPlan(sizes, none);
  let end = 0;
  const placed = tensors.map((tensor): GgufTensorItem => {
    const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    end = offset + bytesOf(tensor);
    return { ...tensor, offset, type: isNorm(tensor) ? F32 : F16 };
  });
  const header = ggufFile({ metadata, tensors: placed });
  const drawn = normals(seededRandom(seed), DRAWN, 1);
  const halves = new Map<number, Uint8Array>();
  const file = openSync(path, "w");
  try {
    writeSync(file, header);
    for (const tensor of placed) {
      const at = header.length + Number(tensor.offset);
      if (isNorm(tensor)) {
        writeSync(
          file,
          bytesOfArray(new Float32Array(Number(tensor.shape[0])).fill(1)),
          0,
          bytesOf(tensor),
          at,
        );
        continue;
      }
      const columns = Number(tensor.shape[1]);
      let piece = halves.get(columns);
      if (piece === undefined) {
        const scaled = drawn.map((value) => value / Math.sqrt(columns));
        halves.set(columns, piece = encodeFloats(scaled, "f16"));
      }
      for (let done = 0; done < bytesOf(tensor); done += piece.length) {
        writeSync(file, piece, 0, Math.min(piece.length, bytesOf(tensor) - done), at + done);
      }
    }
  } finally {
    closeSync(file);
  }
}

function isNorm({ shape }: GgufTensorItem): boolean {
  return shape.length === 1;
}

function bytesOf(tensor: GgufTensorItem): number {
  const count = tensor.shape.reduce((product: number, size) => product * Number(size), 1);
  return count * (isNorm(tensor) ? 4 : 2);
}
