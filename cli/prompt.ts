import { DsError } from "../core/errors.ts";
import type { LoadedModel } from "../runtime/load.ts";
import type { CommandTerminal } from "./command_terminal.ts";
import { readText, readTokenIds } from "./input.ts";
import type { RunOptions } from "./options/run.ts";

/** What the command line gives as the prompt, read but not yet turned into tokens. */
export type PromptSource =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "token-ids"; readonly ids: readonly number[] };

/**
 * The prompt: ids, else the file's text as it is and then the prompt argument, else the argument, else stdin.
 *
 * @throws {DsError} kind "usage" where there is none and stdin is a terminal, or where two exclude each other
 */
export async function readPrompt(
  { prompt, file, tokenIds }: Pick<RunOptions, "prompt" | "file" | "tokenIds">,
  terminal: CommandTerminal,
): Promise<PromptSource> {
  const fromStdin = [prompt, file, tokenIds].filter((source) => source === "-").length;
  if (fromStdin > 1) throw new DsError("usage", "Cannot read stdin twice: give - once");
  if (tokenIds !== null) {
    if (prompt !== undefined || file !== null) {
      throw new DsError("usage", "Cannot take --token-ids beside a prompt: the ids are the whole prompt");
    }
    return { kind: "token-ids", ids: await readTokenIds(tokenIds, terminal) };
  }
  if (file !== null) {
    const before = await readText(file, terminal);
    return { kind: "text", text: joined(before, prompt === "-" ? await piped(terminal) : prompt) };
  }
  if (prompt !== undefined && prompt !== "-") return { kind: "text", text: prompt };
  if (prompt === undefined && terminal.stdinIsTty) {
    throw new DsError(
      "usage",
      'Cannot run without a prompt: give one as in ds run "Once upon a time", with --file, or through a pipe; see ds run --help',
    );
  }
  return { kind: "text", text: await piped(terminal) };
}

/** `echo hello | ds run` means "hello": the line end belongs to the shell. */
async function piped(terminal: CommandTerminal): Promise<string> {
  return (await terminal.readStdin()).replace(/\r?\n$/, "");
}

/** A file's last line stays a line of its own. */
function joined(before: string, prompt: string | undefined): string {
  if (prompt === undefined) return before;
  return before === "" || /\s$/.test(before) ? before + prompt : `${before}\n${prompt}`;
}

/**
 * The tokens a prompt becomes: through the chat template where the model has one, unless `raw`.
 *
 * @throws {DsError} kind "usage" where the model cannot do what is asked
 */
export async function promptTokens(
  source: PromptSource,
  { tokenizer, checkpoint, name }: LoadedModel,
  { chat, raw }: Pick<RunOptions, "chat" | "raw">,
): Promise<readonly number[]> {
  if (chat && raw) throw new DsError("usage", "Cannot use --chat and --raw together: they are opposites");
  if (source.kind === "token-ids") {
    if (chat) {
      throw new DsError(
        "usage",
        "Cannot use --chat with --token-ids: ids are given to the model as they are",
      );
    }
    return source.ids;
  }
  if (tokenizer === null) {
    throw new DsError(
      "usage",
      `Cannot read a text prompt for ${name}: it has no tokenizer; give one with --tokenizer, or ids with --token-ids`,
    );
  }
  if (source.text === "") {
    throw new DsError("usage", "Cannot run an empty prompt: give at least one character");
  }
  const { chatTemplate } = checkpoint;
  if (raw || (chatTemplate === null && !chat)) return tokenizer.encode(source.text);
  if (chatTemplate === null) {
    throw new DsError("usage", `Cannot use --chat with ${name}: it has no chat template; leave --chat out`);
  }
  const { encodeChat } = await import("../core/chat.ts");
  return encodeChat(tokenizer, chatTemplate, [{ role: "user", content: source.text }], {
    addGenerationPrompt: true,
  });
}
