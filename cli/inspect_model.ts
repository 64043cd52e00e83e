import { badData } from "../core/errors.ts";
import type { Checkpoint } from "../core/formats/checkpoint.ts";
import { weightFlaws } from "../core/formats/weight_check.ts";
import { describeRope } from "../calibrations/model_identity.ts";
import { findCalibration } from "../runtime/calibrations.ts";
import { openModel } from "../runtime/load.ts";
import type { Inspection } from "./inspect.ts";
import { bytesText, grouped } from "./numbers.ts";
import type { InspectOptions } from "./options/others.ts";
import { facts } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** A model: its headers, its tokenizer, every weight looked at. */
export async function inspectModel(
  { target, tokenizer: path }: InspectOptions,
  terminal: Terminal,
): Promise<Inspection> {
  const { checkpoint, tokenizer, identity } = await openModel(
    target,
    path === null ? {} : { tokenizer: path },
  );
  try {
    await requireSoundWeights(checkpoint, terminal);
    const { config } = checkpoint;
    const calibration = await findCalibration(identity);
    const dtypes: Record<string, number> = {};
    for (const { dtype } of checkpoint.tensors.values()) dtypes[dtype] = (dtypes[dtype] ?? 0) + 1;
    const found = {
      source: checkpoint.source,
      format: checkpoint.format,
      ...config,
      parameters: parametersOf(checkpoint),
      weightBytes: checkpoint.weightBytes,
      tensors: checkpoint.tensors.size,
      dtypes,
      fingerprint: identity.fingerprint,
      tokenizer: tokenizer === null
        ? null
        : { format: checkpoint.tokenizer!.kind, vocabSize: tokenizer.vocabSize },
      hasChatTemplate: checkpoint.chatTemplate !== null,
      calibration: calibration?.path ?? null,
    };
    const { numHeads, numKvHeads } = config;
    return {
      kind: "model",
      facts: found,
      text: facts([
        ["model", checkpoint.source],
        [
          "format",
          `${found.format}: ${
            Object.entries(dtypes).map(([dtype, count]) => `${count} x ${dtype}`).join(", ")
          }`,
        ],
        ["family", config.architecture],
        ["size", `${grouped(found.parameters)} parameters, ${bytesText(found.weightBytes)}`],
        ["layers", `${config.numLayers} of ${config.hiddenSize}, feed-forward ${config.ffnSize}`],
        [
          "heads",
          `${numHeads} (${numKvHeads} KV heads, ${
            numHeads / numKvHeads
          } to one) of ${config.headDim} channels`,
        ],
        ["vocabulary", `${grouped(config.vocabSize)}${config.tiedEmbeddings ? ", tied" : ""}`],
        ["context", grouped(config.contextLength)],
        ["rope", describeRope(config.rope).slice(0, 160)],
        ["tokenizer", found.tokenizer === null ? "none" : found.tokenizer.format],
        ["chat template", found.hasChatTemplate ? "yes" : "no"],
        ["calibration", found.calibration ?? "none yet"],
        ["fingerprint", found.fingerprint],
      ]),
    };
  } finally {
    await checkpoint.close();
  }
}

function parametersOf(checkpoint: Checkpoint): number {
  let count = 0;
  for (const { shape } of checkpoint.tensors.values()) {
    count += shape.reduce((product, size) => product * size, 1);
  }
  return count;
}

/** @throws {DsError} kind "bad-data" where a weight is not finite; weights of zeros alone are only said */
async function requireSoundWeights(checkpoint: Checkpoint, terminal: Terminal): Promise<void> {
  const bar = terminal.progress("Checking the weights", checkpoint.weightBytes, "bytes");
  let done = 0;
  const watched = new Map([...checkpoint.tensors].map(([name, tensor]) => [name, {
    ...tensor,
    readRows: async (first: number, count: number) => {
      terminal.signal.throwIfAborted();
      const bytes = await tensor.readRows(first, count);
      bar.update(done += bytes.length);
      return bytes;
    },
  }]));
  try {
    for await (const { name, flaw, index } of weightFlaws({ ...checkpoint, tensors: watched })) {
      if (flaw === "not finite") {
        throw badData(
          checkpoint.source,
          `weight ${index} of tensor ${name} is not a finite number: the file is damaged`,
        );
      }
      terminal.note(`Tensor ${name} holds zeros alone`);
    }
  } finally {
    bar.end();
  }
}
