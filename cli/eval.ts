import { builtinText } from "../calibrations/texts/builtin.ts";
import { DsError } from "../core/errors.ts";
import { evaluatePerplexity, type PerplexityRow } from "../core/evaluation/perplexity.ts";
import type { LoadedModel } from "../runtime/load.ts";
import { writeAtomically } from "../runtime/output.ts";
import { attentionOptions, chooseCalibration, sparsityOf } from "./calibration_choice.ts";
import type { CommandTerminal } from "./command_terminal.ts";
import { readText, readTokenIds } from "./input.ts";
import { jsonLine } from "./json.ts";
import { digits, percent } from "./numbers.ts";
import { kvDtypeOf, withModel } from "./open_run.ts";
import { printRatio } from "./options/values.ts";
import type { EvalOptions } from "./options/eval.ts";
import { requireWritable } from "./output_check.ts";
import { table } from "./table.ts";

/** Tokens per window where nothing else limits them. */
const DEFAULT_WINDOW = 1024;

/** One line of `ds eval perplexity`. */
interface EvalRow extends Omit<PerplexityRow, "logProbabilities"> {
  /** Share of the tokens that was asked for, 1 for dense; null where a number of tokens was. */
  readonly sparsity: number | null;
  /** Of retrieval tasks. */
  readonly accuracy: null;
}

/** `ds eval perplexity`: quality of attention modes against dense attention, on windows of a text. */
export async function evalCommand(options: EvalOptions, terminal: CommandTerminal): Promise<void> {
  if (options.logProbabilities !== null) await requireWritable(options.logProbabilities);
  const source = await readSource(options, terminal);
  const shown = await withModel(
    { ...options, context: options.context },
    terminal,
    async (loaded, backend) => {
      const windows = cutWindows(tokensOf(loaded, source), loaded, options);
      const calibration = await chooseCalibration(loaded, options.attention, options, terminal);
      const bar = terminal.progress("Evaluating", 0, "positions");
      try {
        const rows = await evaluatePerplexity(loaded.model, windows, {
          modes: options.attention,
          attention: attentionOptions(options, calibration),
          setting: options.setting,
          skip: options.skip,
          kvDtype: kvDtypeOf(backend, options.kvDtype),
          onProgress: (done, total) => bar.update(done, total),
          signal: terminal.signal,
        });
        const facts = {
          task: options.task,
          model: loaded.name,
          setting: options.setting,
          context: windows[0]!.length,
          windows: windows.length,
          skip: options.skip,
          backend: backend.name,
          device: backend.device.name,
        };
        return { facts, rows };
      } finally {
        bar.end();
      }
    },
  );
  if (options.logProbabilities !== null) {
    await writeAtomically(options.logProbabilities, logProbabilitiesJson(shown.rows));
  }
  const rows = shown.rows.map((row) => evalRow(row, options));
  terminal.out(terminal.json ? jsonLine({ ...shown.facts, rows }) : rowsTable(rows));
  passGates(rows, options);
}

type TextSource =
  & { readonly name: string }
  & ({ readonly text: string } | { readonly ids: readonly number[] });

async function readSource({ text, tokenIds }: EvalOptions, terminal: CommandTerminal): Promise<TextSource> {
  if (text !== null && tokenIds !== null) {
    throw new DsError("usage", "Cannot take --text and --token-ids together: give one of them");
  }
  const nameOf = (path: string) => path === "-" ? "stdin" : path;
  if (tokenIds !== null) return { name: nameOf(tokenIds), ids: await readTokenIds(tokenIds, terminal) };
  if (text !== null) return { name: nameOf(text), text: await readText(text, terminal) };
  return { name: "the built-in text", text: builtinText };
}

function tokensOf(loaded: LoadedModel, source: TextSource): readonly number[] {
  const { tokenizer, name, checkpoint: { config } } = loaded;
  if ("text" in source) {
    if (tokenizer !== null) return tokenizer.encode(source.text, { addSpecial: false });
    throw new DsError(
      "usage",
      `Cannot evaluate ${name} on text: it has no tokenizer; give one with --tokenizer, or ids with --token-ids`,
    );
  }
  const foreign = source.ids.find((id) => id >= config.vocabSize);
  if (foreign === undefined) return source.ids;
  throw new DsError(
    "bad-data",
    `Cannot evaluate ${name} on token id ${foreign} of ${source.name}: its ids are 0 to ${
      config.vocabSize - 1
    }`,
  );
}

/** The first windows of the text, one after the other, nothing put in front of them. */
function cutWindows(ids: readonly number[], loaded: LoadedModel, options: EvalOptions): number[][] {
  const { windows, skip } = options;
  const length = options.context ??
    Math.min(DEFAULT_WINDOW, loaded.context, Math.floor(ids.length / windows));
  if (ids.length < windows * length || length < 2) {
    throw new DsError(
      "bad-data",
      `Cannot cut ${windows} windows of ${Math.max(length, 2)} tokens: the text has ${ids.length}; ` +
        "give a longer one, a smaller --context or fewer --windows",
    );
  }
  if (skip + 2 > length) {
    throw new DsError(
      "usage",
      `Cannot skip ${skip} positions of windows of ${length} tokens: at most ${
        length - 2
      }, or none is left to count`,
    );
  }
  return Array.from({ length: windows }, (_, w) => ids.slice(w * length, (w + 1) * length));
}

function evalRow({ logProbabilities: _, ...row }: PerplexityRow, options: EvalOptions): EvalRow {
  return { ...row, sparsity: sparsityOf(options, row.attention), accuracy: null };
}

function logProbabilitiesJson(rows: readonly PerplexityRow[]): string {
  return jsonLine(
    rows.flatMap(({ attention, logProbabilities }) =>
      logProbabilities.map((values, window) => ({ attention, window, logProbabilities: values }))
    ),
  );
}

function rowsTable(rows: readonly EvalRow[]): string {
  const header = [
    "attention",
    "sparsity",
    "perplexity",
    "dense",
    "KL (nats)",
    "±",
    "top-1",
    "recall",
    "positions",
  ];
  return table(
    header,
    rows.map((row) => [
      row.attention,
      row.sparsity === null ? "-" : printRatio(row.sparsity),
      digits(row.perplexity, 5),
      digits(row.densePerplexity, 5),
      digits(row.klDivergence, 3),
      row.klStandardError === null ? "-" : digits(row.klStandardError, 2),
      percent(row.top1Agreement),
      row.attentionRecall === null ? "-" : digits(row.attentionRecall, 3),
      String(row.positions),
    ]),
  );
}

/** @throws {DsError} kind "quality-gate" naming every mode that is above a limit */
function passGates(rows: readonly EvalRow[], { maxKl, maxPerplexity }: EvalOptions): void {
  const faults = rows.flatMap((row) => {
    const over = (name: string, value: number, limit: number | null) =>
      limit === null || value <= limit
        ? []
        : [`${row.attention} has ${name} ${digits(value, 4)}, allowed is ${limit}`];
    return [
      ...over("a KL of", row.klDivergence, maxKl),
      ...over("a perplexity of", row.perplexity, maxPerplexity),
    ];
  });
  if (faults.length > 0) throw new DsError("quality-gate", `Quality gate failed: ${faults.join("; ")}`);
}
