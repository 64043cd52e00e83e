import { badData, DsError } from "../errors.ts";
import type { FileSource, FileSystem } from "../files.ts";
import type { TokenizerSource } from "./checkpoint.ts";
import { childPath, readWhole } from "./folder.ts";
import { ggufTemplate } from "./gguf.ts";
import { GGUF_MAGIC, readGgufHeader } from "./gguf_header.ts";
import { ggufTokenizer } from "./gguf_tokenizer.ts";
import { type FolderTokenizer, readFolderTokenizer, TOKENIZER_LIMITS } from "./huggingface_tokenizer.ts";
import { parseJsonObject } from "./strict_json.ts";

/** tokenizer.bin takes about 14 bytes a token. */
const MAX_TOKENIZER_BIN_BYTES = 2 ** 26;

/**
 * The tokenizer that `path` names: a folder, a tokenizer.json (with the files beside it), a GGUF file or llama2.c's
 * tokenizer.bin.
 *
 * @throws {DsError} kind "missing-input" or "bad-data"
 */
export async function openTokenizerSource(
  fs: FileSystem,
  path: string,
  vocabSize: number,
): Promise<FolderTokenizer> {
  if (await fs.kind(path) === "folder") {
    const found = await readFolderTokenizer(fs, path);
    if (found.source !== null) return found;
    const source = await tokenizerBeside(fs, path, vocabSize);
    if (source !== null) return { source, chatTemplate: found.chatTemplate };
    throw new DsError(
      "missing-input",
      `Cannot use ${path} as a tokenizer: it has no tokenizer.json and no tokenizer.bin`,
    );
  }
  const file = await fs.open(path);
  try {
    if (file.size < 8) throw badData(path, `it has ${file.size} bytes, too few for a tokenizer`);
    const start = await file.read(0, 4);
    if (new DataView(start.buffer, start.byteOffset).getUint32(0, true) === GGUF_MAGIC) {
      const header = await readGgufHeader(file);
      const source = ggufTokenizer(header, path);
      if (source === null) throw badData(path, "it is a GGUF file without a tokenizer");
      return { source, chatTemplate: ggufTemplate(header, path) };
    }
    if (!/\.json$/i.test(path)) return { source: await llama2cSource(file, vocabSize), chatTemplate: null };
    const bytes = await readWhole(file, TOKENIZER_LIMITS.bytes);
    const tokenizer = parseJsonObject(bytes, path, TOKENIZER_LIMITS);
    return await readFolderTokenizer(fs, splitPath(path).folder, { tokenizer, file: path });
  } finally {
    await file.close();
  }
}

/** llama2.c's tokenizer in the folder of its model: named for its size, or by the default name. */
export async function tokenizerBeside(
  fs: FileSystem,
  folder: string,
  vocabSize: number,
): Promise<TokenizerSource | null> {
  for (const name of [`tok${vocabSize}.bin`, "tokenizer.bin"]) {
    const path = childPath(folder, name);
    if (await fs.kind(path) !== "file") continue;
    const file = await fs.open(path);
    try {
      return await llama2cSource(file, vocabSize);
    } finally {
      await file.close();
    }
  }
  return null;
}

async function llama2cSource(file: FileSource, vocabSize: number): Promise<TokenizerSource> {
  return {
    kind: "llama2c",
    bytes: await readWhole(file, MAX_TOKENIZER_BIN_BYTES),
    vocabSize,
    file: file.name,
  };
}

/** The folder a path lies in, "." where it names none. */
export function splitPath(path: string): { readonly folder: string; readonly name: string } {
  const cut = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
  return cut < 0
    ? { folder: ".", name: path }
    : { folder: cut === 0 ? path.slice(0, 1) : path.slice(0, cut), name: path.slice(cut + 1) };
}
