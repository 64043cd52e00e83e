/** Variables of the environment; injected so that tests need not change the process's own. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A variable's value, or null where it is unset or empty. */
export function setting(environment: Environment, name: string): string | null {
  const value = environment[name];
  return value === undefined || value === "" ? null : value;
}

function isOn(environment: Environment, name: string): boolean {
  return /^(1|true|yes|on)$/i.test(setting(environment, name) ?? "");
}

/** The variable that forbids the network, if one is set. */
export function offlineBecause(environment: Environment): string | null {
  return ["DS_OFFLINE", "HF_HUB_OFFLINE"].find((name) => isOn(environment, name)) ?? null;
}
