import { basename } from "node:path";
import type { Backend } from "../core/backend.ts";
import { Model } from "../core/model.ts";
import type { OpenedModel } from "../runtime/load.ts";
import type { BenchOptions } from "./options/bench.ts";
import type { Terminal } from "./terminal.ts";

/** The weights on a backend, with room for the longest context. */
export async function loadForBench(
  backend: Backend,
  opened: OpenedModel,
  { contexts }: BenchOptions,
  terminal: Terminal,
): Promise<Model> {
  const { checkpoint } = opened;
  const bar = terminal.progress(`${backend.name}: loading ${opened.name}`, checkpoint.weightBytes, "bytes");
  try {
    return await Model.load(backend, checkpoint, {
      context: Math.max(...contexts),
      onProgress: (done, total) => bar.update(done, total),
    });
  } finally {
    bar.end();
  }
}

/** Says that a context is longer than the model was made for: the time is right, the text would not be. */
export function noteLongContexts(
  { name, checkpoint }: OpenedModel,
  { contexts }: BenchOptions,
  terminal: Terminal,
): void {
  const { contextLength } = checkpoint.config;
  const longest = Math.max(...contexts);
  if (longest <= contextLength) return;
  terminal.note(
    `${name} was made for ${contextLength} tokens: at ${longest} its text would be nonsense, but it takes the same time`,
  );
}

/** A path's last part, or the name. */
export function modelName({ name }: OpenedModel): string {
  return basename(name);
}
