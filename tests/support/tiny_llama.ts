import { bytesOfArray } from "../../core/tensor_io.ts";
import { ggufFile, type GgufItem, type GgufTensorItem } from "./gguf_file.ts";
import { llama2cFile, llama2cTokenizer } from "./llama2c_file.ts";
import { MemoryFiles } from "./memory_files.ts";
import { safetensorsFile } from "./safetensors_file.ts";
import { normals, seededRandom } from "./seeded_random.ts";

export interface TinyLlamaSizes {
  readonly layers: number;
  readonly hidden: number;
  readonly ffn: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocab: number;
  readonly context: number;
  /** Default true: no output matrix. */
  readonly tied?: boolean;
}

export interface TinyLlama {
  readonly files: MemoryFiles;
  /** Paths of the same model in three containers; llama2.c's cannot hold heads · headDim ≠ hidden, then null. */
  readonly huggingface: string;
  readonly gguf: string;
  readonly llama2c: string | null;
  /** By the names of `Checkpoint.tensors`, q and k rows in the half-split order. */
  readonly weights: ReadonlyMap<string, Float32Array>;
}

export const TINY_SIZES: TinyLlamaSizes = {
  layers: 2,
  hidden: 32,
  ffn: 48,
  heads: 4,
  kvHeads: 2,
  headDim: 8,
  vocab: 288,
  context: 64,
};

/**
 * A random Llama of f32 weights, RoPE base 10000 and epsilon 1e-5, in memory. With at least 260 tokens the GGUF and
 * llama2.c files have a SentencePiece-style vocabulary: <unk>, <s>, </s>, 256 bytes, then single letters.
 */
export function tinyLlamaFiles(seed: number, sizes: TinyLlamaSizes = TINY_SIZES): TinyLlama {
  const weights = tinyWeights(seed, sizes);
  const files = new MemoryFiles();
  const tiny = { files, weights, huggingface: "tiny/huggingface", gguf: "tiny/tiny.gguf" };
  writeHuggingFace(files, tiny.huggingface, sizes, weights);
  files.write(tiny.gguf, ggufFile(tinyGgufPlan(sizes, weights)));
  if (sizes.heads * sizes.headDim !== sizes.hidden) return { ...tiny, llama2c: null };
  const llama2c = "tiny/llama2c/tiny.bin";
  const weight = (name: string) => interleaved(name, weights.get(name)!, sizes);
  files.write(llama2c, llama2cFile({ ...sizes, tied: sizes.tied ?? true }, weight));
  if (sizes.vocab >= 260) {
    const { tokens, scores } = tinyVocabulary(sizes.vocab);
    // The format's own exporter writes spaces and these two tokens so.
    const pieces = tokens.map((token, id) =>
      id === 1 || id === 2 ? `\n${token}\n` : token.replace("\u2581", " ")
    );
    files.write("tiny/llama2c/tokenizer.bin", llama2cTokenizer(pieces, scores));
  }
  return { ...tiny, llama2c };
}

export function tinyShapes(sizes: TinyLlamaSizes): Map<string, readonly number[]> {
  const { layers, hidden: D, ffn: F, heads, kvHeads, headDim: d, vocab: V } = sizes;
  const shapes = new Map<string, readonly number[]>([["embedding", [V, D]]]);
  for (let l = 0; l < layers; l++) {
    shapes.set(`layers.${l}.attentionNorm`, [D]).set(`layers.${l}.q`, [heads * d, D])
      .set(`layers.${l}.k`, [kvHeads * d, D]).set(`layers.${l}.v`, [kvHeads * d, D])
      .set(`layers.${l}.o`, [D, heads * d]).set(`layers.${l}.ffnNorm`, [D])
      .set(`layers.${l}.gate`, [F, D]).set(`layers.${l}.up`, [F, D]).set(`layers.${l}.down`, [D, F]);
  }
  shapes.set("finalNorm", [D]);
  return sizes.tied ?? true ? shapes : shapes.set("output", [V, D]);
}

function tinyWeights(seed: number, sizes: TinyLlamaSizes): Map<string, Float32Array> {
  const random = seededRandom(seed);
  const weights = new Map<string, Float32Array>();
  for (const [name, shape] of tinyShapes(sizes)) {
    const columns = shape[shape.length - 1];
    const count = shape.reduce((product, size) => product * size, 1);
    const isNorm = shape.length === 1;
    const values = normals(random, count, isNorm ? 0.1 : name === "embedding" ? 1 : 1.5 / Math.sqrt(columns));
    weights.set(name, isNorm ? values.map((value) => 1 + value) : values);
  }
  return weights;
}

/** Rows of q and k paired as (2c, 2c + 1) within each head; other tensors as they are. */
function interleaved(name: string, values: Float32Array, { headDim, hidden }: TinyLlamaSizes): Float32Array {
  if (!/\.[qk]$/.test(name)) return values;
  const result = new Float32Array(values.length);
  for (let row = 0; row < values.length / hidden; row++) {
    const c = row % headDim;
    const to = row - c + (c < headDim / 2 ? 2 * c : 2 * (c - headDim / 2) + 1);
    result.set(values.subarray(row * hidden, (row + 1) * hidden), to * hidden);
  }
  return result;
}

export function tinyHuggingFaceConfig(sizes: TinyLlamaSizes): Record<string, unknown> {
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    vocab_size: sizes.vocab,
    hidden_size: sizes.hidden,
    intermediate_size: sizes.ffn,
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    num_key_value_heads: sizes.kvHeads,
    head_dim: sizes.headDim,
    hidden_act: "silu",
    max_position_embeddings: sizes.context,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: sizes.tied ?? true,
    bos_token_id: 1,
    eos_token_id: 2,
  };
}

const HUGGING_FACE_NAMES: Readonly<Record<string, string>> = {
  attentionNorm: "input_layernorm",
  q: "self_attn.q_proj",
  k: "self_attn.k_proj",
  v: "self_attn.v_proj",
  o: "self_attn.o_proj",
  ffnNorm: "post_attention_layernorm",
  gate: "mlp.gate_proj",
  up: "mlp.up_proj",
  down: "mlp.down_proj",
  embedding: "model.embed_tokens",
  finalNorm: "model.norm",
  output: "lm_head",
};

function writeHuggingFace(
  files: MemoryFiles,
  folder: string,
  sizes: TinyLlamaSizes,
  weights: ReadonlyMap<string, Float32Array>,
): void {
  files.write(`${folder}/config.json`, JSON.stringify(tinyHuggingFaceConfig(sizes)));
  const shapes = tinyShapes(sizes);
  const items = [...weights].map(([name, values]) => {
    const [, layer, part] = name.split(".");
    const fileName = part === undefined
      ? HUGGING_FACE_NAMES[name]
      : `model.layers.${layer}.${HUGGING_FACE_NAMES[part]}`;
    return {
      name: `${fileName}.weight`,
      dtype: "F32",
      shape: shapes.get(name)!,
      bytes: bytesOfArray(values),
    };
  });
  files.write(`${folder}/model.safetensors`, safetensorsFile(items));
}

const GGUF_NAMES: Readonly<Record<string, string>> = {
  attentionNorm: "attn_norm",
  q: "attn_q",
  k: "attn_k",
  v: "attn_v",
  o: "attn_output",
  ffnNorm: "ffn_norm",
  gate: "ffn_gate",
  up: "ffn_up",
  down: "ffn_down",
  embedding: "token_embd",
  finalNorm: "output_norm",
  output: "output",
};

export interface TinyGgufPlan {
  readonly metadata: [string, GgufItem][];
  readonly tensors: GgufTensorItem[];
}

/** What `ggufFile` makes the tiny GGUF of: for tests that change a part of it. */
export function tinyGgufPlan(
  sizes: TinyLlamaSizes,
  weights: ReadonlyMap<string, Float32Array>,
): TinyGgufPlan {
  const u32 = (value: number): GgufItem => ({ type: "u32", value });
  const metadata: [string, GgufItem][] = [
    ["general.architecture", { type: "string", value: "llama" }],
    ["llama.block_count", u32(sizes.layers)],
    ["llama.context_length", u32(sizes.context)],
    ["llama.embedding_length", u32(sizes.hidden)],
    ["llama.feed_forward_length", u32(sizes.ffn)],
    ["llama.attention.head_count", u32(sizes.heads)],
    ["llama.attention.head_count_kv", u32(sizes.kvHeads)],
    ["llama.attention.key_length", u32(sizes.headDim)],
    ["llama.attention.value_length", u32(sizes.headDim)],
    ["llama.attention.layer_norm_rms_epsilon", { type: "f32", value: 1e-5 }],
    ["llama.rope.freq_base", { type: "f32", value: 10000 }],
    ["llama.rope.dimension_count", u32(sizes.headDim)],
  ];
  if (sizes.vocab >= 260) {
    const { tokens, scores, types } = tinyVocabulary(sizes.vocab);
    metadata.push(
      ["tokenizer.ggml.model", { type: "string", value: "llama" }],
      ["tokenizer.ggml.tokens", { type: "strings", value: tokens }],
      ["tokenizer.ggml.scores", { type: "floats", value: scores }],
      ["tokenizer.ggml.token_type", { type: "ints", value: types }],
      ["tokenizer.ggml.bos_token_id", u32(1)],
      ["tokenizer.ggml.eos_token_id", u32(2)],
      ["tokenizer.ggml.unknown_token_id", u32(0)],
    );
  }
  const shapes = tinyShapes(sizes);
  const tensors = [...weights].map(([name, values]) => {
    const [, layer, part] = name.split(".");
    const fileName = part === undefined ? GGUF_NAMES[name] : `blk.${layer}.${GGUF_NAMES[part]}`;
    const bytes = bytesOfArray(interleaved(name, values, sizes));
    return { name: `${fileName}.weight`, shape: shapes.get(name)!, type: 0, bytes };
  });
  return { metadata, tensors };
}

function tinyVocabulary(size: number): { tokens: string[]; scores: number[]; types: number[] } {
  const hex = (byte: number) => byte.toString(16).toUpperCase().padStart(2, "0");
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${hex(byte)}>`);
  const letters = Array.from(
    { length: Math.max(size - 259, 0) },
    (_, i) => String.fromCodePoint(i === 0 ? 0x2581 : 0x60 + i),
  );
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...letters].slice(0, size);
  const types = tokens.map((_, id) => id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1);
  return { tokens, types, scores: tokens.map((_, id) => id < 259 ? 0 : 258 - id) };
}
