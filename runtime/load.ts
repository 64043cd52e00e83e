import { type ModelIdentity, modelIdentity } from "../calibrations/model_identity.ts";
import type { Backend } from "../core/backend.ts";
import type { Checkpoint } from "../core/formats/checkpoint.ts";
import { openCheckpoint } from "../core/formats/open.ts";
import { Model } from "../core/model.ts";
import { openTokenizer } from "../core/tokenizer/open.ts";
import type { Tokenizer } from "../core/tokenizer/tokenizer.ts";
import { modelFiles } from "./embedded.ts";
import { resolveModel } from "./models.ts";

export interface OpenModelOptions {
  /** A tokenizer.json, a folder with one, or llama2.c's tokenizer.bin; overrides what the model carries. */
  readonly tokenizer?: string;
}

/** A checkpoint opened and described, its weights not yet read. */
export interface OpenedModel {
  /** The name or path it was asked for by. */
  readonly name: string;
  readonly checkpoint: Checkpoint;
  /** Null where the checkpoint carries none. */
  readonly tokenizer: Tokenizer | null;
  readonly identity: ModelIdentity;
}

/** A model on a backend, ready to decode. */
export interface LoadedModel extends OpenedModel {
  readonly model: Model;
  /** Tokens it was loaded for. */
  readonly context: number;
  close(): Promise<void>;
}

export interface LoadModelOptions extends OpenModelOptions {
  readonly backend: Backend;
  /** Tokens to make room for, default what the model was made for. */
  readonly context?: number;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/**
 * Opens a model by name, path or Hugging Face id and checks what its files say of it.
 *
 * @throws {DsError} kind "missing-input" or "bad-data"
 */
export async function openModel(nameOrPath: string, options: OpenModelOptions = {}): Promise<OpenedModel> {
  const found = await resolveModel(nameOrPath);
  const tokenizerPath = options.tokenizer ?? found.tokenizerPath;
  const checkpoint = await openCheckpoint(
    modelFiles,
    found.path,
    tokenizerPath === undefined ? {} : { tokenizerPath },
  );
  try {
    const tokenizer = checkpoint.tokenizer === null ? null : openTokenizer(checkpoint.tokenizer);
    const identity = modelIdentity(checkpoint.config, await checkpoint.fingerprint());
    return { name: nameOrPath, checkpoint, tokenizer, identity };
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

/** Opens a model and moves its weights onto a backend, which stays the caller's. */
export async function loadModel(nameOrPath: string, options: LoadModelOptions): Promise<LoadedModel> {
  const opened = await openModel(nameOrPath, options);
  try {
    return await loadOpened(opened, options);
  } catch (error) {
    await opened.checkpoint.close();
    throw error;
  }
}

/** The same for a model opened already. */
export async function loadOpened(
  opened: OpenedModel,
  { backend, context = opened.checkpoint.config.contextLength, onProgress }: LoadModelOptions,
): Promise<LoadedModel> {
  const model = await Model.load(backend, opened.checkpoint, { context, ...(onProgress && { onProgress }) });
  return {
    ...opened,
    model,
    context,
    close: async () => {
      model.free();
      await opened.checkpoint.close();
    },
  };
}
