import { readFileSync } from "node:fs";
import { DsError } from "../../core/errors.ts";

const texts = new Map<string, string>();

/** Hands over the text of `kernels/<name>.wgsl` where it does not lie beside the code. */
export function provideShader(name: string, text: string): void {
  texts.set(name, text);
}

/** What a kernel is compiled for: numbers and switches, `const` in WGSL. Integers are u32 there, floats f32. */
export type Constants = Readonly<Record<string, number | boolean>>;

/**
 * The WGSL of a kernel: its constants, then `kernels/<name>.wgsl` with every `// use other` line replaced by that file, each
 * file once.
 *
 * @param variants other files to take where one is used: { dot: "dot_packed" } makes `// use dot` take dot_packed.wgsl
 * @param extensions WGSL extensions to enable
 */
export function composeShader(
  name: string,
  constants: Constants,
  variants: Readonly<Record<string, string>>,
  extensions: readonly string[],
): string {
  const used = new Set<string>();
  const expand = (file: string): string => {
    const chosen = variants[file] ?? file;
    if (used.has(chosen)) return "";
    used.add(chosen);
    return shaderText(chosen).replace(/^\/\/ use (\w+)$/gm, (_, other: string) => expand(other));
  };
  const body = expand(name);
  const head = extensions.map((extension) => `enable ${extension};\n`);
  const values = Object.entries(constants).map(([key, value]) => `const ${key} = ${literal(value)};\n`);
  return [...head, ...values, body].join("");
}

function literal(value: number | boolean): string {
  if (typeof value === "boolean") return String(value);
  return Number.isInteger(value) ? `${value}u` : `f32(${value})`;
}

function shaderText(name: string): string {
  const known = texts.get(name);
  if (known !== undefined) return known;
  try {
    const text = readFileSync(new URL(`./kernels/${name}.wgsl`, import.meta.url), "utf8");
    texts.set(name, text);
    return text;
  } catch (error) {
    throw new DsError(
      "backend-unavailable",
      `Cannot open backend "webgpu" as its shader backends/webgpu/kernels/${name}.wgsl cannot be read: this copy of ds is incomplete, install it again`,
      { cause: error },
    );
  }
}

/** Lines of a shader around `line` (counted from 1), numbered, that one marked. */
export function sourceAround(text: string, line: number): string {
  const lines = text.split("\n");
  const first = Math.max(1, line - 2);
  return lines.slice(first - 1, line + 2)
    .map((one, i) => `${first + i === line ? ">" : " "} ${String(first + i).padStart(4)} | ${one}`)
    .join("\n");
}
