import { constants, platform } from "node:os";
import { DsError, type FailureKind } from "../core/errors.ts";

const WORDS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "the operation is not permitted",
  EROFS: "the file system is read-only",
  ENOENT: "no such file or folder",
  ENOTDIR: "a part of the path is not a folder",
  EISDIR: "it is a folder",
  ENOSPC: "no space is left on the device",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file would be too large for this file system",
  EIO: "the device reports an input/output error",
  EMFILE: "this process has too many open files",
  ENFILE: "the system has too many open files",
  ENAMETOOLONG: "the name is too long",
  ELOOP: "the symbolic links lead in a circle",
  EBUSY: "the file is in use",
  ETXTBSY: "the file is being executed",
  EPIPE: "nothing reads the other end",
  ENXIO: "nothing reads the other end",
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was reset",
  ENOTFOUND: "the host name is not known",
  EAI_AGAIN: "the host name cannot be looked up now",
  ETIMEDOUT: "the connection timed out",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the network cannot be reached",
};

/** The system's name of an error ("ENOENT"), where it has one. */
export function errorCode(error: unknown): string | undefined {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  if (typeof code === "string") return code;
  // Deno names only the common errors; the rest have their number in the message.
  const number = typeof message === "string" ? /\(os error (\d+)\)/.exec(message)?.[1] : undefined;
  if (number === undefined || platform() === "win32") return undefined;
  return Object.entries(constants.errno).find(([, value]) => value === Number(number))?.[0];
}

/** The reason in words, with the system's name of it. */
export function errorReason(error: unknown): string {
  const code = errorCode(error);
  if (code !== undefined && WORDS[code] !== undefined) return `${WORDS[code]} (${code})`;
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n", 1)[0] ?? message;
}

/** A failure to read: "missing-input" where there is nothing, "io" otherwise. */
export function cannotRead(path: string, error: unknown): DsError {
  if (error instanceof DsError) return error;
  const code = errorCode(error);
  const kind: FailureKind = code === "ENOENT" || code === "ENOTDIR" ? "missing-input" : "io";
  return new DsError(kind, `Cannot read ${path}: ${errorReason(error)}`, { cause: error });
}

const DEVICE_FAULTS = new Set(["ENOSPC", "EDQUOT", "EFBIG", "EIO", "EPIPE"]);

/** A failure to write: "io" where the device failed or is full, "cannot-create" where the path does not allow it. */
export function cannotWrite(path: string, error: unknown): DsError {
  if (error instanceof DsError) return error;
  const code = errorCode(error);
  const kind: FailureKind = code !== undefined && DEVICE_FAULTS.has(code) ? "io" : "cannot-create";
  return new DsError(kind, `Cannot write ${path}: ${errorReason(error)}`, { cause: error });
}
