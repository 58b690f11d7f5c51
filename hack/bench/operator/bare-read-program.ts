import { z } from "zod";
import { createBareClient, type BareClient } from "./bare-client.ts";

/**
 * Reads what the operator reads, by itself and as fast as it can: `node bare-read-program.ts <kubeconfig> pages|stream <namespaces>`.
 * Every object is parsed and none is kept. Prints how many there were.
 */

const PAGE = 500;
/** So many lists or streams at once: more only wait for the same two processors. */
const AT_ONCE = 4;
const OURS = "labelSelector=app.kubernetes.io%2Fmanaged-by%3Dtradingbots-operator";

const Page = z.object({
  items: z.array(z.unknown()),
  metadata: z.object({ continue: z.string().default("") }),
});
const Event = z.object({ type: z.string() });

const [kubeconfigPath = "", way = "", namespaces = ""] = process.argv.slice(2);
const client = await createBareClient(kubeconfigPath);
const group = "/apis/tradingbots.dev/v1alpha1";
const paths = [
  `${group}/tradingbots?`,
  `${group}/exchangeaccounts?`,
  ...namespaces
    .split(",")
    .flatMap((namespace) =>
      ["pods", "serviceaccounts"].map(
        (plural) => `/api/v1/namespaces/${namespace}/${plural}?${OURS}&`,
      ),
    ),
];
const read = way === "pages" ? readPages : readStream;
let objects = 0;
let next = 0;
async function work(): Promise<void> {
  for (let path = paths[next++]; path !== undefined; path = paths[next++]) {
    const count = await read(client, path);
    objects += count;
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, work));
await client.close();
console.log(objects);

async function readPages(from: BareClient, path: string): Promise<number> {
  let count = 0;
  let rest = "";
  do {
    const answer = await from.json({ method: "GET", path: `${path}limit=${PAGE}${rest}` });
    const { items, metadata } = Page.parse(answer);
    count += items.length;
    rest = metadata.continue === "" ? "" : `&continue=${encodeURIComponent(metadata.continue)}`;
  } while (rest !== "");
  return count;
}

async function readStream(from: BareClient, path: string): Promise<number> {
  const query =
    "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
  const decoder = new TextDecoder();
  let count = 0;
  let rest = "";
  for await (const chunk of await from.stream(path + query)) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (Event.parse(JSON.parse(line)).type === "BOOKMARK") return count;
      count += 1;
    }
  }
  throw new Error(`${path} ended before it was complete`);
}
