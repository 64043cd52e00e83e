import { badData, DsError } from "../errors.ts";
import type { FileSource, FileSystem } from "../files.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { missing } from "./folder.ts";
import { openGguf } from "./gguf.ts";
import { GGUF_MAGIC } from "./gguf_header.ts";
import { openHuggingFace } from "./huggingface.ts";
import { openLlama2c } from "./llama2c.ts";
import { openTokenizerSource, splitPath, tokenizerBeside } from "./tokenizer_source.ts";

export interface OpenOptions {
  /** A tokenizer.json, a tokenizer.bin, a GGUF file or a folder; goes before what the model itself carries. */
  readonly tokenizerPath?: string;
}

/**
 * Opens a model: a Hugging Face folder, a GGUF file or a llama2.c `.bin`. Reads headers only; weights come lazily.
 *
 * @throws {DsError} kind "missing-input" where there is nothing to open, "bad-data" where it is not a model ds runs
 */
export async function openCheckpoint(
  fs: FileSystem,
  path: string,
  options: OpenOptions = {},
): Promise<Checkpoint> {
  const checkpoint = await openModel(fs, path);
  if (options.tokenizerPath === undefined) return checkpoint;
  try {
    const { source, chatTemplate } = await openTokenizerSource(
      fs,
      options.tokenizerPath,
      checkpoint.config.vocabSize,
    );
    return { ...checkpoint, tokenizer: source, chatTemplate: chatTemplate ?? checkpoint.chatTemplate };
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

async function openModel(fs: FileSystem, path: string): Promise<Checkpoint> {
  const kind = await fs.kind(path);
  if (kind === "missing") throw missing(path, "there is no such file or folder");
  if (kind === "other") throw missing(path, "it is neither a regular file nor a folder");
  if (kind === "folder") return await openHuggingFace(fs, path);
  const file = await fs.open(path);
  try {
    return await openFile(fs, file, path);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openFile(fs: FileSystem, file: FileSource, path: string): Promise<Checkpoint> {
  if (file.size < 8) throw badData(path, `it has ${file.size} bytes, too few for a model`);
  const start = await file.read(0, 8);
  const magic = new DataView(start.buffer, start.byteOffset).getUint32(0, true);
  if (magic === GGUF_MAGIC) return await openGguf(file);
  if (start[0] === ZIP[0] && start[1] === ZIP[1]) {
    throw badData(
      path,
      "it is a pickled PyTorch file, which can run code; use its safetensors or GGUF version",
    );
  }
  if (/\.(safetensors|json)$/i.test(path)) {
    throw badData(
      path,
      "it is one file of a Hugging Face folder; give the path of the folder, which has a config.json",
    );
  }
  let checkpoint: Checkpoint;
  try {
    checkpoint = await openLlama2c(file);
  } catch (error) {
    // Any bytes can be looked at as llama2.c's seven sizes, so a mismatch says little about a file of another name.
    if (!(error instanceof DsError) || error.kind !== "bad-data" || /\.bin$/i.test(path)) throw error;
    throw badData(
      path,
      "it is neither a GGUF file nor a llama2.c model, and a Hugging Face model is a folder",
    );
  }
  const tokenizer = await tokenizerBeside(fs, splitPath(path).folder, checkpoint.config.vocabSize);
  return { ...checkpoint, tokenizer };
}

/** How zip archives begin, which is what torch.save writes. */
const ZIP = [0x50, 0x4b];
