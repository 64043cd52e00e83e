import { Random } from "../../core/random.ts";
import { bytesOfArray, encodeFloats } from "../../core/tensor_io.ts";
import { ggufFile, type GgufTensorItem } from "../support/gguf_file.ts";
import { tinyGgufPlan, type TinyLlamaSizes, tinyShapes } from "../support/tiny_llama.ts";

/** Attention is nearly all of a step: as many KV heads as query heads, few weights, long contexts. */
export const WIDE_SIZES: TinyLlamaSizes = {
  layers: 4,
  hidden: 1024,
  ffn: 512,
  heads: 8,
  kvHeads: 8,
  headDim: 128,
  vocab: 512,
  context: 32768,
};

/** Numbers of the types in a GGUF file. */
const F32 = 0;
const Q8_0 = 8;
/** Values per block of Q8_0: an f16 scale, then a signed byte each. */
const BLOCK = 32;
/** Of whole numbers drawn evenly from -127 to 127. */
const BYTE_DEVIATION = Math.sqrt((255 ** 2 - 1) / 12);

/** A GGUF file of the Llama architecture with random Q8_0 weights, norms of 1 and a vocabulary of bytes: the same bytes for a seed. */
export function randomModelFile(
  sizes: TinyLlamaSizes,
  seed: number,
): Uint8Array<ArrayBuffer> {
  const random = new Random(seed);
  const none = new Map(
    [...tinyShapes(sizes).keys()].map((name) => [name, new Float32Array(0)]),
  );
  const { metadata, tensors } = tinyGgufPlan(sizes, none);
  return ggufFile({
    metadata,
    tensors: tensors.map((tensor) => filled(tensor, random)),
  });
}

function filled(
  { name, shape }: GgufTensorItem,
  random: Random,
): GgufTensorItem {
  const [rows, columns] = shape.map(Number);
  if (columns === undefined) {
    return {
      name,
      shape,
      type: F32,
      bytes: bytesOfArray(new Float32Array(rows).fill(1)),
    };
  }
  const deviation = name.startsWith("token_embd") ? 1 : 1 / Math.sqrt(columns);
  return {
    name,
    shape,
    type: Q8_0,
    bytes: q8Blocks(rows * columns, deviation, random),
  };
}

function q8Blocks(
  count: number,
  deviation: number,
  random: Random,
): Uint8Array {
  const scale = encodeFloats(
    Float32Array.of(deviation / BYTE_DEVIATION),
    "f16",
  );
  const bytes = new Uint8Array((count / BLOCK) * (2 + BLOCK));
  for (let block = 0; block < bytes.length; block += 2 + BLOCK) {
    bytes.set(scale, block);
    for (let i = block + 2; i < block + 2 + BLOCK; i++) {
      bytes[i] = random.nextUint32() % 255 - 127;
    }
  }
  return bytes;
}
