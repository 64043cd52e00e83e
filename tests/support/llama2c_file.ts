import { ByteWriter } from "./byte_writer.ts";

export interface Llama2cSizes {
  readonly hidden: number;
  readonly ffn: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly vocab: number;
  readonly context: number;
  readonly tied: boolean;
}

/** @param weight the values of a tensor by its checkpoint name, q and k rows in the file's interleaved order */
export function llama2cFile(
  sizes: Llama2cSizes,
  weight: (name: string) => Float32Array,
): Uint8Array<ArrayBuffer> {
  const { hidden, ffn, layers, heads, kvHeads, vocab, context, tied } = sizes;
  const file = new ByteWriter();
  for (const n of [hidden, ffn, layers, heads, kvHeads, tied ? vocab : -vocab, context]) file.i32(n);
  file.floats(weight("embedding"));
  for (const part of ["attentionNorm", "q", "k", "v", "o", "ffnNorm", "gate", "down", "up"]) {
    for (let l = 0; l < layers; l++) file.floats(weight(`layers.${l}.${part}`));
  }
  file.floats(weight("finalNorm")).floats(new Float32Array(context * (hidden / heads)));
  if (!tied) file.floats(weight("output"));
  return file.done();
}

/** tokenizer.bin of these pieces. */
export function llama2cTokenizer(
  pieces: readonly string[],
  scores: readonly number[],
): Uint8Array<ArrayBuffer> {
  const encoded = pieces.map((piece) => new TextEncoder().encode(piece));
  const file = new ByteWriter().i32(Math.max(...encoded.map((bytes) => bytes.length)));
  encoded.forEach((bytes, id) => file.f32(scores[id]).i32(bytes.length).bytes(bytes));
  return file.done();
}
