import { existsSync, readFileSync } from "node:fs";
import process from "node:process";

const LOADER = "libvulkan.so.1";

/**
 * Whether a Linux machine has what Dawn finds GPUs through: Dawn itself only complains on standard error where it is missing.
 * Elsewhere there is nothing to look for: true.
 */
export function hasVulkanLoader(): boolean {
  if (process.platform !== "linux") return true;
  const folders = [
    ...(process.env.LD_LIBRARY_PATH ?? "").split(":"),
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
  ];
  // The names of all libraries that the dynamic linker knows, and those that are loaded already.
  const lists = ["/etc/ld.so.cache", "/proc/self/maps"];
  return folders.some((folder) => folder !== "" && existsSync(`${folder}/${LOADER}`)) ||
    lists.some((list) => existsSync(list) && readFileSync(list).includes(LOADER));
}
