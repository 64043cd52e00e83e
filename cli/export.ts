import { exportChannelConfig } from "../calibrations/channel_config.ts";
import { sha256Hex } from "../core/sha256.ts";
import { readCalibration } from "../runtime/calibrations.ts";
import { withLock, writeAtomically } from "../runtime/output.ts";
import { jsonLine } from "./json.ts";
import { bytesText } from "./numbers.ts";
import type { ExportOptions } from "./options/others.ts";
import { requireWritable } from "./output_check.ts";
import type { Terminal } from "./terminal.ts";
import { DsError } from "../core/errors.ts";

/** `ds export`: a calibration's rankings in the published JSON format. */
export async function exportCommand(
  { calibration: path, out }: ExportOptions,
  terminal: Terminal,
): Promise<void> {
  if (out === null && terminal.json) {
    throw new DsError("usage", "Cannot print both the export and --json facts on stdout: give --out");
  }
  if (out !== null) await requireWritable(out);
  const text = exportChannelConfig(await readCalibration(path));
  if (out === null) return terminal.out(`${text}\n`);
  const bytes = new TextEncoder().encode(text);
  await withLock(out, () => writeAtomically(out, bytes), { signal: terminal.signal });
  const facts = { path: out, bytes: bytes.length, sha256: await sha256Hex(bytes) };
  terminal.out(terminal.json ? jsonLine(facts) : `wrote ${out} (${bytesText(bytes.length)})\n`);
}
