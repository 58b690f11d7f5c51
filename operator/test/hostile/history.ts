/** A state as it was streamed at some time, and the version that it was complete as of. */
export interface Recorded {
  readonly lines: readonly string[];
  readonly version: string;
}

/** What was answered first, for a server that lags behind to answer again. */
export function createHistory() {
  const lists = new Map<string, string>();
  const streams = new Map<string, Recorded>();

  /** Takes the lines of a streamed state up to its end. */
  function recorder(path: string): (line: string) => void {
    const lines: string[] = [];
    let isOver = streams.has(path);
    return (line) => {
      if (isOver) return;
      lines.push(line);
      if (!line.includes("k8s.io/initial-events-end")) return;
      isOver = true;
      const version = /"resourceVersion":"(\d+)"/.exec(line)?.[1];
      if (version !== undefined) streams.set(path, { lines, version });
    };
  }

  return {
    list: (path: string) => lists.get(path),
    recordList: (path: string, text: string) => {
      if (!lists.has(path)) lists.set(path, text);
    },
    stream: (path: string) => streams.get(path),
    recorder,
  };
}
export type History = ReturnType<typeof createHistory>;
