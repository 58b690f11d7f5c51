import type { KubeClient, Resource, Selection } from "@tradingbots/kube";

/** Longer than any test. */
const WATCH_SECONDS = 3_600;

/** An object that came, changed or went, with the revision of the store at which it did. */
export interface Change<T> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: T;
  readonly revision: number;
}

interface Versioned {
  readonly metadata?: { readonly resourceVersion?: string | undefined } | undefined;
}

/** Tells of what there is and of every change, in order, until it is stopped. A watch that breaks is told as a failure. */
export function follow<T extends Versioned>(
  { client, resource, selection }: Followed<T>,
  onChange: (change: Change<T>) => void,
) {
  const stopping = new AbortController();
  const running = run();
  running.catch(() => undefined); // thrown where it is stopped

  async function run(): Promise<void> {
    const options = {
      ...selection,
      sendInitialEvents: true,
      timeoutSeconds: WATCH_SECONDS,
      signal: stopping.signal,
    };
    try {
      for await (const { type, object } of client.watch(resource, options)) {
        if (type === "BOOKMARK") continue;
        const read = resource.read(object);
        onChange({ type, object: read, revision: Number(read.metadata?.resourceVersion) });
      }
      throw new Error(`the watch of ${resource.plural} has ended`);
    } catch (error) {
      if (!stopping.signal.aborted) throw error;
    }
  }

  return {
    /** @throws what broke the watch before. */
    stop: async (): Promise<void> => {
      stopping.abort();
      await running;
    },
  };
}

interface Followed<T> {
  readonly client: KubeClient;
  readonly resource: Resource<T>;
  readonly selection: Selection;
}
