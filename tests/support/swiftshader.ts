/**
 * A GPU in software for tests: SwiftShader and a Vulkan loader, which npm's `@sparticuz/chromium` happens to carry (MIT; SwiftShader
 * itself is under the Apache licence 2.0). It must be in place before Dawn looks for a driver.
 */
import koffi from "koffi";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const RTLD_NOW_GLOBAL = 0x102;

let isInstalled = false;

/** Makes SwiftShader the process's Vulkan driver. @returns why that cannot be, or null */
export function useSwiftShader(): string | null {
  if (isInstalled) return null;
  if (process.platform !== "linux" || process.arch !== "x64") {
    return `SwiftShader comes for Linux on x64 only, this is ${process.platform} on ${process.arch}`;
  }
  const folder = unpacked();
  const libc = koffi.load("libc.so.6");
  // Of the process itself: not every runtime's process.env reaches native code.
  const setenv = libc.func("int setenv(const char *name, const char *value, int overwrite)");
  const dlopen = libc.func("void *dlopen(const char *path, int flags)");
  setenv("VK_ICD_FILENAMES", join(folder, "vk_swiftshader_icd.json"), 1);
  if (dlopen(join(folder, "libvulkan.so.1"), RTLD_NOW_GLOBAL) === null) {
    return `the Vulkan loader in ${folder} cannot be loaded`;
  }
  isInstalled = true;
  return null;
}

/** The folder with the driver; unpacked once, whole or not at all, whatever else unpacks it. */
function unpacked(): string {
  const folder = join(ROOT, "node_modules", ".swiftshader");
  if (existsSync(folder)) return folder;
  const packed = createRequire(import.meta.url).resolve("@sparticuz/chromium");
  const archive = join(dirname(packed), "..", "bin", "swiftshader.tar.br");
  mkdirSync(dirname(folder), { recursive: true });
  const fresh = mkdtempSync(`${folder}-`);
  try {
    writeFileSync(join(fresh, "files.tar"), brotliDecompressSync(readFileSync(archive)));
    execFileSync("tar", ["xf", "files.tar"], { cwd: fresh });
    rmSync(join(fresh, "files.tar"));
    renameSync(fresh, folder);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    // Another process was first.
    if (!existsSync(folder)) throw error;
  }
  return folder;
}
