import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { DsError } from "../core/errors.ts";
import { diskFiles } from "../runtime/files.ts";
import { inspectCalibration, inspectChannelConfig } from "./inspect_calibration.ts";
import { inspectModel } from "./inspect_model.ts";
import { inspectTokenizer, looksLikeTokenizerBin } from "./inspect_tokenizer.ts";
import { jsonLine } from "./json.ts";
import type { InspectOptions } from "./options/others.ts";
import type { CommandTerminal } from "./command_terminal.ts";

/** Facts of one thing, for people and for programs. */
export interface Inspection {
  readonly kind: "model" | "calibration" | "tokenizer" | "channel-config";
  /** What `--json` prints beside the kind. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** Lines for people. */
  readonly text: string;
}

/** `ds inspect`: validates a file, folder or named model and tells what it is. */
export async function inspectCommand(options: InspectOptions, terminal: CommandTerminal): Promise<void> {
  const { kind, facts, text } = await inspect(options, terminal);
  terminal.out(terminal.json ? jsonLine({ kind, ...facts }) : text);
}

async function inspect(options: InspectOptions, terminal: CommandTerminal): Promise<Inspection> {
  const { target } = options;
  const facts = await stat(target).catch(() => null);
  if (facts?.isFile()) {
    const start = await firstBytes(target);
    const word = new TextDecoder("latin1").decode(start);
    if (word.startsWith("DSCAL")) return await inspectCalibration(target);
    if (/\.dscal$/i.test(target)) return await inspectCalibration(target);
    if (/\.json$/i.test(target) || /^[\s\ufeff\xef\xbb\xbf]*\{/.test(word)) {
      return /"model\.layers\.[0-9]+\./.test(word)
        ? await inspectChannelConfig(target, options.kvHeads, terminal)
        : await inspectTokenizer(target);
    }
    if (await looksLikeTokenizerBin(target, facts.size)) return await inspectTokenizer(target);
  }
  if (facts?.isDirectory() && await isTokenizerFolder(target)) return await inspectTokenizer(target);
  if (target === "-") throw new DsError("usage", "Cannot inspect stdin: give a path, a model name or an id");
  return await inspectModel(options, terminal);
}

async function isTokenizerFolder(folder: string): Promise<boolean> {
  const has = async (name: string) => await diskFiles.kind(join(folder, name)) === "file";
  return !await has("config.json") && await has("tokenizer.json");
}

async function firstBytes(path: string): Promise<Uint8Array> {
  const file = await open(path, "r").catch(() => null);
  if (file === null) return new Uint8Array(0);
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(4096), 0, 4096, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
