import type { ModelConfig } from "../config.ts";
import { badData } from "../errors.ts";
import type { FileSource } from "../files.ts";
import { decodeRows } from "../quantisation.ts";
import { assembledCheckpoint } from "./assembled.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { ggufConfig } from "./gguf_config.ts";
import { type GgufHeader, readGgufHeader } from "./gguf_header.ts";
import { ggufTokenizer } from "./gguf_tokenizer.ts";
import { MAX_TEMPLATE_BYTES } from "./huggingface_tokenizer.ts";
import { modelTensors, type TensorLayout } from "./model_tensors.ts";
import { quote } from "../quote.ts";

const ROPE_FACTORS = "rope_freqs.weight";
const MAX_ROPE_FACTORS = 4096;

/**
 * A GGUF file of a Llama-like model. The checkpoint closes `file`; where opening fails the caller does.
 *
 * @throws {DsError} kind "bad-data"
 */
export async function openGguf(file: FileSource): Promise<Checkpoint> {
  const header = await readGgufHeader(file);
  const config = ggufConfig(header, await readRopeFactors(header, file), file.name);
  return assembledCheckpoint({
    format: "gguf",
    source: file.name,
    config,
    tensors: modelTensors(config, header.tensors, layoutOf(config), file.name),
    tokenizer: ggufTokenizer(header, file.name),
    chatTemplate: ggufTemplate(header, file.name),
    files: [file],
  });
}

export function ggufTemplate(header: GgufHeader, file: string): string | null {
  const template = header.metadata.get("tokenizer.chat_template") ?? null;
  if (template === null) return null;
  if (typeof template !== "string") throw badData(file, "its tokenizer.chat_template must be text");
  if (template.length > MAX_TEMPLATE_BYTES) {
    throw badData(
      file,
      `its chat template must be at most ${MAX_TEMPLATE_BYTES} characters: found ${template.length}`,
    );
  }
  return template;
}

const LAYER_NAMES: Readonly<Record<string, string>> = {
  attentionNorm: "attn_norm",
  q: "attn_q",
  k: "attn_k",
  v: "attn_v",
  o: "attn_output",
  ffnNorm: "ffn_norm",
  gate: "ffn_gate",
  up: "ffn_up",
  down: "ffn_down",
};

function layoutOf(config: ModelConfig): TensorLayout {
  const isLlama = config.architecture === "llama";
  return {
    fileName: ggufName,
    // Converters reorder q and k of "llama" alone.
    interleaved: isLlama,
    biases: isLlama ? "as found" : new Set(["q", "k", "v"]),
    ignores: (name) => name === ROPE_FACTORS || name.endsWith(".attn_rot_embd.weight"),
  };
}

function ggufName(name: string): string {
  if (name === "embedding") return "token_embd.weight";
  if (name === "finalNorm") return "output_norm.weight";
  if (name === "output") return "output.weight";
  const [, layer, part, bias] = name.split(".");
  return `blk.${layer}.${LAYER_NAMES[part]}.${bias ?? "weight"}`;
}

async function readRopeFactors(header: GgufHeader, file: FileSource): Promise<number[] | null> {
  const tensor = header.tensors.get(ROPE_FACTORS);
  if (tensor === undefined) return null;
  const [length] = tensor.shape;
  if (tensor.dtype !== "f32" || tensor.shape.length !== 1 || length > MAX_ROPE_FACTORS) {
    throw badData(
      file.name,
      `its tensor ${
        quote(ROPE_FACTORS)
      } must be at most ${MAX_ROPE_FACTORS} f32 values: found ${tensor.typeName} [${
        tensor.shape.join(", ")
      }]`,
    );
  }
  const factors = new Float32Array(length);
  decodeRows("f32", await file.read(tensor.offset, 4 * length), factors);
  return [...factors];
}
