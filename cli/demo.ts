/**
 * `deno task demo`: the main job on real input, by the commands a user would type. Gets the model, calibrates it quickly on the text
 * that ships with ds, then decodes a prompt of several thousand tokens densely and with Double Sparsity at 1/16, side by side.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { demoNovel } from "../calibrations/texts/demo_novel.ts";
import { demoQuestion } from "../calibrations/texts/demo_question.ts";
import { dsFolders } from "../runtime/folders.ts";
import { DEFAULT_MODEL, FALLBACK_MODEL } from "../runtime/models.ts";
import { main } from "./main.ts";
import { processStreams } from "./streams.ts";

const streams = processStreams();
const say = (text: string) => streams.stdout.write(`${text}\n`);

async function ds(...argv: string[]): Promise<number> {
  say(`\n$ ds ${argv.map((word) => /[\s?]/.test(word) ? JSON.stringify(word) : word).join(" ")}`);
  return await main(argv, process.env, streams);
}

async function demo(): Promise<number> {
  const started = performance.now();
  const folder = join(dsFolders().cache, "demo");
  await mkdir(folder, { recursive: true });
  const prompt = join(folder, "pride-and-prejudice.txt");
  await writeFile(prompt, `${demoNovel}\n\n`);

  const pulled = await ds("pull", DEFAULT_MODEL);
  if (pulled === 130 || pulled === 143) return pulled;
  const model = pulled === 0 ? DEFAULT_MODEL : FALLBACK_MODEL;
  if (pulled !== 0) {
    say(`\n${DEFAULT_MODEL} cannot be had here, so ${FALLBACK_MODEL}, which is part of ds, shows the way.`);
  }

  const calibration = join(folder, `${model}-quick.dscal`);
  const calibrated = await ds(
    "calibrate",
    "--quick",
    "--model",
    model,
    "--tokens",
    "512",
    "--block",
    "256",
    "--out",
    calibration,
  );
  if (calibrated !== 0) return calibrated;

  const compared = model === DEFAULT_MODEL
    ? await ds(
      "run",
      "--compare",
      "--model",
      model,
      "--calibration",
      calibration,
      "--max-tokens",
      "48",
      "--file",
      prompt,
      demoQuestion,
    )
    : await ds(
      "run",
      "--compare",
      "--model",
      model,
      "--calibration",
      calibration,
      "--max-tokens",
      "200",
      "Once upon a time",
    );
  say(
    `\nThe calibration is ${calibration}. All of this took ${
      ((performance.now() - started) / 1000).toFixed(0)
    } s.`,
  );
  return compared;
}

process.exit(await demo());
