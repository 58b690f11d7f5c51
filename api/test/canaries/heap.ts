import { z } from "zod";

const Message = z.object({
  id: z.int().optional(),
  method: z.string().optional(),
  params: z.object({ chunk: z.string().optional() }).optional(),
  result: z.unknown().optional(),
  error: z.object({ message: z.string() }).optional(),
});
const Evaluated = z.object({ result: z.object({ objectId: z.string() }) });
const Queried = z.object({ objects: z.object({ objectId: z.string() }) });
const Text = z.object({ result: z.object({ value: z.string() }) });

/**
 * Whoever wants to be looked into is started with these: an inspector on a port of the system's choice, whole strings, and no bytes in a
 * new buffer but those that are written there: Postgres' client holds buffers that it has hardly used, and what others left in the memory
 * that they were cut from would be found.
 */
export const INSPECTABLE = [
  "--inspect=127.0.0.1:0",
  "--heap-snapshot-string-limit=10000000",
  "--zero-fill-buffers",
];

/** Where the inspectors of a process and of its children listen, by what they have written. */
export function inspectorsOf(output: string): readonly string[] {
  return Array.from(output.matchAll(/Debugger listening on (ws:\S+)/g), ([, url = ""]) => url);
}

/** The inspector of a running process: Chrome's DevTools protocol. */
export async function inspect(url: string) {
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve, { once: true });
    socket.addEventListener("error", reject, { once: true });
  });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const chunks: string[] = [];
  socket.addEventListener("message", ({ data }) => {
    const { id, method, params, result, error } = Message.parse(JSON.parse(String(data)));
    if (method === "HeapProfiler.addHeapSnapshotChunk") chunks.push(params?.chunk ?? "");
    if (id === undefined) return;
    if (error === undefined) waiting.get(id)?.resolve(result);
    else waiting.get(id)?.reject(new Error(error.message));
  });

  function send(method: string, params: object = {}): Promise<unknown> {
    const id = waiting.size + 1;
    const answer = Promise.withResolvers<unknown>();
    waiting.set(id, answer);
    socket.send(JSON.stringify({ id, method, params }));
    return answer.promise;
  }

  return {
    evaluate: (expression: string) => send("Runtime.evaluate", { expression }),
    /**
     * All that is reachable: objects and strings as a heap snapshot, bytes one view after the other. Node cuts small buffers out of
     * shared memory that it does not clear: what nobody has a view of any more is garbage, as a string that waits to be collected.
     */
    reachable: async (): Promise<readonly [strings: Buffer, bytes: Buffer]> => {
      await send("HeapProfiler.collectGarbage");
      await send("HeapProfiler.collectGarbage"); // what finalizers let go
      await send("HeapProfiler.takeHeapSnapshot", { reportProgress: false });
      const strings = Buffer.from(chunks.splice(0).join(""));
      const prototype = Evaluated.parse(
        await send("Runtime.evaluate", { expression: "Uint8Array.prototype" }),
      ).result.objectId;
      const { objects } = Queried.parse(
        await send("Runtime.queryObjects", { prototypeObjectId: prototype }),
      );
      const joined = await send("Runtime.callFunctionOn", {
        objectId: objects.objectId,
        returnByValue: true,
        functionDeclaration: `function () {
          return Buffer.concat(this.filter((each) => ArrayBuffer.isView(each))).toString("latin1");
        }`,
      });
      return [strings, Buffer.from(Text.parse(joined).result.value, "latin1")];
    },
    close: () => socket.close(),
  };
}
