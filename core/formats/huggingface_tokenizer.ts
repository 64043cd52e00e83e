import { badData } from "../errors.ts";
import type { FileSystem } from "../files.ts";
import type { TokenizerSource } from "./checkpoint.ts";
import { childPath, readOptional, readOptionalJson } from "./folder.ts";
import { isObject, type JsonLimits, type JsonObject, own } from "./strict_json.ts";

/** The largest published vocabularies take about 35 MB and 3 million entries. */
export const TOKENIZER_LIMITS: JsonLimits = { bytes: 96e6, entries: 8e6 };
export const SMALL_JSON: JsonLimits = { bytes: 8e6, entries: 400_000 };
export const MAX_TEMPLATE_BYTES = 1e6;

export interface FolderTokenizer {
  readonly source: TokenizerSource | null;
  readonly chatTemplate: string | null;
}

/**
 * What a Hugging Face folder says about text: each of its files may be absent.
 *
 * @param given stands for the folder's tokenizer.json
 */
export async function readFolderTokenizer(
  fs: FileSystem,
  folder: string,
  given?: { readonly tokenizer: JsonObject; readonly file: string },
): Promise<FolderTokenizer> {
  const tokenizer = given?.tokenizer ??
    await readOptionalJson(fs, folder, "tokenizer.json", TOKENIZER_LIMITS);
  const config = await readOptionalJson(fs, folder, "tokenizer_config.json", SMALL_JSON);
  const file = given?.file ?? childPath(folder, "tokenizer.json");
  const source = tokenizer && { kind: "huggingface" as const, tokenizer, config, file };
  return { source, chatTemplate: await readTemplate(fs, folder, config) };
}

/** chat_template.jinja goes before the one in tokenizer_config.json, which may be one template or several with names. */
async function readTemplate(
  fs: FileSystem,
  folder: string,
  config: JsonObject | null,
): Promise<string | null> {
  const bytes = await readOptional(fs, folder, "chat_template.jinja", MAX_TEMPLATE_BYTES);
  if (bytes !== null) return decodeTemplate(bytes, childPath(folder, "chat_template.jinja"));
  const given = (config && own(config, "chat_template")) ?? null;
  if (given === null) return null;
  const file = childPath(folder, "tokenizer_config.json");
  const template = Array.isArray(given) ? defaultTemplate(given) : given;
  if (typeof template !== "string") {
    throw badData(file, "its chat_template must be text or a list with one named default");
  }
  if (template.length > MAX_TEMPLATE_BYTES) {
    throw badData(
      file,
      `its chat_template must be at most ${MAX_TEMPLATE_BYTES} characters: found ${template.length}`,
    );
  }
  return template;
}

function defaultTemplate(templates: readonly unknown[]): unknown {
  const named = templates.filter(isObject).find((template) => own(template, "name") === "default");
  return named && own(named, "template");
}

function decodeTemplate(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw badData(file, "it is not valid UTF-8");
  }
}
