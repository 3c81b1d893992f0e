/** The values that the stubbed variables had before; undefined if they were not set. */
const before = new Map<string, string | undefined>();

/** Sets an environment variable, or removes it (undefined), until `unstubAllEnvs` is called. */
export function stubEnv(name: string, value: string | undefined): void {
  if (!before.has(name)) before.set(name, process.env[name]);
  set(name, value);
}

/** Restores the previous value of every stubbed variable. Each test file has its own environment variables. */
export function unstubAllEnvs(): void {
  for (const [name, value] of before) set(name, value);
  before.clear();
}

function set(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}
