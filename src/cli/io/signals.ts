/** The signals that stop a server or a waiting command. SIGHUP means that its terminal was closed. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** npm and npx forward the Ctrl-C that the terminal has already sent to every process; both count as one. */
const SAME_SIGNAL_MS = 1_000;

/**
 * The first signal resolves `stopped` and aborts `signal`. A second one, at least a second later, ends the process at once.
 */
export function untilStopped(): { stopped: Promise<NodeJS.Signals>; signal: AbortSignal; dispose(): void } {
  let first = 0;
  const controller = new AbortController();
  let resolve: (signal: NodeJS.Signals) => void;
  const stopped = new Promise<NodeJS.Signals>((done) => {
    resolve = done;
  });
  const onSignal = (signal: NodeJS.Signals) => {
    if (first === 0) {
      first = Date.now();
      resolve(signal);
      controller.abort();
    } else if (Date.now() - first > SAME_SIGNAL_MS) {
      process.exit(130);
    }
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return {
    stopped,
    signal: controller.signal,
    dispose: () => {
      for (const signal of SIGNALS) process.off(signal, onSignal);
    },
  };
}
