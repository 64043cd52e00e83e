import { badData } from "../errors.ts";
import type { FileSource, FileSystem } from "../files.ts";
import { assembledCheckpoint, closeAll } from "./assembled.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { checkInside, childPath, missing, openInside, readOptionalJson } from "./folder.ts";
import { huggingFaceModel } from "./huggingface_config.ts";
import { readFolderTokenizer, SMALL_JSON } from "./huggingface_tokenizer.ts";
import { type FoundTensor, modelTensors, type TensorLayout } from "./model_tensors.ts";
import { describe, quote } from "../quote.ts";
import { readSafetensors } from "./safetensors.ts";
import { isObject, type JsonLimits, own } from "./strict_json.ts";

const MAX_SHARDS = 1024;
const INDEX_LIMITS: JsonLimits = { bytes: 25e6, entries: 200_000 };

/**
 * A folder as the Hugging Face hub has them: config.json, model.safetensors or its shards, and the tokenizer's files.
 *
 * @throws {DsError} kind "missing-input" where a file is absent, "bad-data" where one is not what it should be
 */
export async function openHuggingFace(fs: FileSystem, folder: string): Promise<Checkpoint> {
  const json = await readOptionalJson(fs, folder, "config.json", SMALL_JSON);
  if (json === null) {
    throw missing(
      folder,
      "a model folder has a config.json and this one has none; name a .gguf or .bin file itself",
    );
  }
  const generation = await readOptionalJson(fs, folder, "generation_config.json", SMALL_JSON);
  const { config, biases } = huggingFaceModel(json, generation, childPath(folder, "config.json"));
  const { source: tokenizer, chatTemplate } = await readFolderTokenizer(fs, folder);
  const files: FileSource[] = [];
  try {
    const found = await findTensors(fs, folder, files);
    const layout: TensorLayout = {
      fileName: huggingFaceName,
      interleaved: false,
      biases,
      ignores: (name) =>
        name.endsWith(".rotary_emb.inv_freq") || (config.tiedEmbeddings && name === "lm_head.weight"),
    };
    const tensors = modelTensors(config, found, layout, folder);
    return assembledCheckpoint({
      format: "huggingface",
      source: folder,
      config,
      tensors,
      tokenizer,
      chatTemplate,
      files,
    });
  } catch (error) {
    await closeAll(files);
    throw error;
  }
}

const LAYER_NAMES: Readonly<Record<string, string>> = {
  attentionNorm: "input_layernorm",
  q: "self_attn.q_proj",
  k: "self_attn.k_proj",
  v: "self_attn.v_proj",
  o: "self_attn.o_proj",
  ffnNorm: "post_attention_layernorm",
  gate: "mlp.gate_proj",
  up: "mlp.up_proj",
  down: "mlp.down_proj",
};

function huggingFaceName(name: string): string {
  if (name === "embedding") return "model.embed_tokens.weight";
  if (name === "finalNorm") return "model.norm.weight";
  if (name === "output") return "lm_head.weight";
  const [, layer, part, bias] = name.split(".");
  return `model.layers.${layer}.${LAYER_NAMES[part]}.${bias ?? "weight"}`;
}

/** Adds every file it opens to `files`, also when it then fails. */
async function findTensors(
  fs: FileSystem,
  folder: string,
  files: FileSource[],
): Promise<Map<string, FoundTensor>> {
  const open = async (name: string) => {
    const file = await openInside(fs, folder, name);
    files.push(file);
    return file;
  };
  if (await fs.kind(childPath(folder, "model.safetensors")) !== "missing") {
    return await readSafetensors(await open("model.safetensors"));
  }
  const index = await readOptionalJson(fs, folder, "model.safetensors.index.json", INDEX_LIMITS);
  if (index === null) {
    throw missing(
      folder,
      "it has a config.json but neither model.safetensors nor model.safetensors.index.json; ds does not read .pt or pytorch_model.bin weights",
    );
  }
  // The index's total_size is left unread: published ones are wrong, and nothing here is sized by it.
  const shards = shardsOf(own(index, "weight_map"), childPath(folder, "model.safetensors.index.json"));
  for (const shard of shards.keys()) checkInside(folder, shard);
  const found = new Map<string, FoundTensor>();
  for (const [shard, promised] of shards) {
    const tensors = await readSafetensors(await open(shard));
    for (const name of promised) {
      if (!tensors.has(name)) {
        throw badData(folder, `its index says ${quote(name)} is in ${quote(shard)}, which does not have it`);
      }
    }
    for (const [name, tensor] of tensors) {
      if (!promised.has(name)) {
        throw badData(
          folder,
          `its shard ${quote(shard)} has ${quote(name)}, which its index does not place there`,
        );
      }
      found.set(name, tensor);
    }
  }
  return found;
}

/** Tensor names by shard. */
function shardsOf(weightMap: unknown, file: string): Map<string, Set<string>> {
  if (!isObject(weightMap)) {
    throw badData(file, `its weight_map must be an object: found ${describe(weightMap)}`);
  }
  const shards = new Map<string, Set<string>>();
  for (const [tensor, shard] of Object.entries(weightMap)) {
    if (typeof shard !== "string") {
      throw badData(
        file,
        `its weight_map must give a file name for ${quote(tensor)}: found ${describe(shard)}`,
      );
    }
    const names = shards.get(shard);
    if (names === undefined) shards.set(shard, new Set([tensor]));
    else names.add(tensor);
  }
  if (shards.size === 0 || shards.size > MAX_SHARDS) {
    throw badData(file, `its weight_map must name from 1 to ${MAX_SHARDS} files: found ${shards.size}`);
  }
  return shards;
}
