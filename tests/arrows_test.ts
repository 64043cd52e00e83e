import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = resolve(fileURLToPath(new URL("..", import.meta.url)));

/** What each part may import besides itself: the arrows of ARCHITECTURE.md. */
const ALLOWED: Record<string, readonly string[]> = {
  core: [],
  backends: ["core"],
  calibrations: ["core"],
  runtime: ["calibrations", "core"],
  mod: ["runtime", "calibrations", "core", "backends"],
  cli: ["mod", "runtime", "calibrations", "core", "backends"],
};

/** Libraries, and the one place each may be named. */
const LIBRARIES: Record<string, RegExp> = {
  "@huggingface/jinja": /^core\/chat/,
  "msgpackr": /^calibrations\/artifact\.ts$/,
  "@optique/core": /^cli\//,
  "tinybench": /^(cli|core\/bench)\//,
  "koffi": /^backends\/cuda\/library\.ts$/,
  "webgpu": /^backends\/webgpu\/device\.ts$/,
};

/** The backend files that reach the machine themselves, and through what. */
const BACKEND_NODE: ReadonlyMap<string, readonly string[]> = new Map([
  ["backends/cpu/module.ts", ["node:fs"]],
  ["backends/cpu/pool.ts", ["node:worker_threads"]],
  ["backends/cpu/worker.ts", ["node:worker_threads"]],
  ["backends/cuda/library_path.ts", ["node:fs", "node:path", "node:process", "node:url"]],
  ["backends/webgpu/shaders.ts", ["node:fs"]],
  ["backends/webgpu/vulkan_loader.ts", ["node:fs", "node:process"]],
]);

/** Globals of one runtime, the console and the disk stay out of what computes. */
const RUNTIME_GLOBALS = /(?<![\w.#])(Deno|Bun|process|console|navigator|require)\s*[.[(]/;

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? sources(path) : path.endsWith(".ts") ? [path] : [];
  });
}

function imports(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const statement =
    /^\s*(?:import|export)\s[^"';]*?\bfrom\s+"([^"]+)"|^\s*import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/gm;
  return [...code.matchAll(statement)].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic);
}

const files = [...["core", "backends", "calibrations", "runtime", "cli"].flatMap(sources), "mod.ts"];

test("imports follow the arrows when every file is walked", () => {
  assert.ok(files.length > 60, `only ${files.length} files were found`);
  for (const file of files) {
    const part = file === "mod.ts" ? "mod" : file.split("/")[0];
    for (const specifier of imports(readFileSync(join(root, file), "utf8"))) {
      if (!specifier.startsWith(".")) {
        const name = specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
        if (name.startsWith("node:")) {
          assert.ok(
            part === "runtime" || part === "cli" || BACKEND_NODE.get(file)?.includes(name),
            `${file} imports ${specifier}: only runtime/ and cli/ may`,
          );
          continue;
        }
        const home = LIBRARIES[name];
        assert.ok(
          home !== undefined,
          `${file} imports ${specifier}, which tests/arrows_test.ts does not know`,
        );
        assert.match(file, home, `${file} imports ${specifier}, whose place is ${home}`);
        continue;
      }
      const target = relative(root, resolve(root, dirname(file), specifier));
      // Gathered for the single executable by `cli/binary_parts.ts`.
      if (file === "cli/binary.ts" && target.startsWith("dist/parts/")) continue;
      const targetPart = target === "mod.ts" ? "mod" : target.split("/")[0];
      if (targetPart !== part) {
        assert.ok(
          ALLOWED[part].includes(targetPart),
          `${file} imports ${target}: ${part} → ${targetPart} is no arrow`,
        );
      }
      // Kernels that the single executable packs are data.
      const isPacked = file === "cli/binary.ts" && target.endsWith(".wasm");
      if (targetPart === "backends" && part !== "backends" && !isPacked) {
        assert.equal(
          target,
          "backends/mod.ts",
          `${file} imports ${target}: a device is opened through backends/mod.ts`,
        );
      }
      if (part === "backends" && targetPart === "backends") {
        const [, from] = file.split("/");
        const [, to] = target.split("/");
        assert.ok(
          from === "mod.ts" || from === to,
          `${file} imports ${target}: a backend never imports another`,
        );
      }
    }
  }
});

test("core, backends/reference and calibrations name no runtime when every file is read", () => {
  for (const file of files) {
    if (!/^(core|calibrations|backends\/reference)\//.test(file)) continue;
    const code = readFileSync(join(root, file), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    const found = RUNTIME_GLOBALS.exec(code);
    assert.equal(found, null, `${file} uses ${found?.[0]}`);
  }
});
