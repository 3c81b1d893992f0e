import { Presets, SingleBar } from 'cli-progress';

/** Shows how far a copy is. */
export interface CopyProgress {
  onProgress(part: number): void;
  onCheck(): void;
  end(): void;
}

/** A bar on a terminal; nothing elsewhere. */
export function copyProgress(stream: NodeJS.WriteStream): CopyProgress {
  if (!stream.isTTY) return { onProgress() {}, onCheck() {}, end() {} };
  const bar = new SingleBar(
    { format: '{step} {bar} {percentage} %', stream, clearOnComplete: true, hideCursor: true },
    Presets.shades_classic,
  );
  bar.start(100, 0, { step: 'copying ' });
  return {
    onProgress: (part) => bar.update(Math.floor(part * 100)),
    onCheck() {
      bar.update(100, { step: 'checking' });
      // The check keeps the event loop busy, so a timer would not draw it.
      bar.render();
    },
    end: () => bar.stop(),
  };
}
