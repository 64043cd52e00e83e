import { open } from "node:fs/promises";
import { openTokenizerSource } from "../core/formats/tokenizer_source.ts";
import { openTokenizer } from "../core/tokenizer/open.ts";
import { modelFiles } from "../runtime/embedded.ts";
import { readBytes } from "./input.ts";
import type { Inspection } from "./inspect.ts";
import { facts } from "./table.ts";

/** The most entries that a llama2.c vocabulary is looked through for. */
const MOST_TOKENS = 2 ** 22;
const SAMPLE = "The quick brown fox: 12 × 34, naïve café.";

/** A tokenizer.json, a folder with one, or a llama2.c tokenizer.bin. */
export async function inspectTokenizer(path: string): Promise<Inspection> {
  const size = /\.json$/i.test(path) ? 0 : await vocabularyOf(path);
  const { source, chatTemplate } = await openTokenizerSource(modelFiles, path, size);
  const tokenizer = openTokenizer(source!);
  const ids = tokenizer.encode(SAMPLE, { addSpecial: false });
  const found = {
    path,
    format: source!.kind,
    vocabSize: tokenizer.vocabSize,
    bosToken: tokenizer.bosToken,
    bosTokenId: tokenizer.bosTokenId,
    eosToken: tokenizer.eosToken,
    eosTokenIds: tokenizer.eosTokenIds,
    hasChatTemplate: chatTemplate !== null,
  };
  return {
    kind: "tokenizer",
    facts: found,
    text: facts([
      ["tokenizer", path],
      ["format", found.format],
      ["tokens", String(found.vocabSize)],
      [
        "begin",
        `${found.bosToken === null ? "-" : JSON.stringify(found.bosToken)} (${found.bosTokenId ?? "-"})`,
      ],
      [
        "end",
        `${found.eosToken === null ? "-" : JSON.stringify(found.eosToken)} (${found.eosTokenIds.join(", ")})`,
      ],
      ["chat template", found.hasChatTemplate ? "yes" : "no"],
      ["sample", `${JSON.stringify(SAMPLE)} is ${ids.length} tokens`],
    ]),
  };
}

/** Whether a file is, entry by entry to its last byte, a llama2.c vocabulary: no model is. */
export async function looksLikeTokenizerBin(path: string, size: number): Promise<boolean> {
  if (!/\.bin$/i.test(path) || size < 12 || size > 2 ** 26) return false;
  const file = await open(path, "r");
  try {
    const { buffer } = await file.read(new Uint8Array(12), 0, 12, 0);
    const view = new DataView(buffer.buffer, buffer.byteOffset);
    // The longest token, then the first token's score and length.
    if (view.getInt32(0, true) > 4096 || view.getInt32(8, true) > view.getInt32(0, true)) return false;
  } finally {
    await file.close();
  }
  return await vocabularyOf(path) > 0;
}

/** Entries of a llama2.c vocabulary; 0 where the file is none. */
async function vocabularyOf(path: string): Promise<number> {
  if (await modelFiles.kind(path) !== "file") return 0;
  const bytes = await readBytes(path, 2 ** 26);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 4;
  let entries = 0;
  while (at + 8 <= bytes.length && entries < MOST_TOKENS) {
    const length = view.getInt32(at + 4, true);
    if (length < 0 || length > bytes.length - at - 8) return 0;
    at += 8 + length;
    entries++;
  }
  return at === bytes.length ? entries : 0;
}
