import { readFile } from "node:fs/promises";
import { z } from "zod";
import { createBareClient } from "./bare-client.ts";
import { botsPath, podsPath } from "./bare-loop.ts";
import type { Member } from "./population.ts";
import { createStamp } from "./stamp.ts";
import type { Template } from "./template.ts";

/**
 * The shortest controller there is: `node watch-loop-program.ts <kubeconfig> <template file> <namespaces>`. It forgets nothing, survives
 * nothing and decides nothing: every new bot gets its pod and its first status.
 */

const Bot = z.object({
  metadata: z.object({ namespace: z.string(), name: z.string(), uid: z.string() }),
  spec: z.object({
    userId: z.string(),
    accountName: z.string(),
    symbols: z.tuple([z.string()]),
  }),
});
const List = z.object({ metadata: z.object({ resourceVersion: z.string() }) });
const Event = z.object({ type: z.string(), object: z.unknown() });

const [kubeconfigPath = "", templateFile = "", namespaces = ""] = process.argv.slice(2);
const template = z.custom<Template>().parse(JSON.parse(await readFile(templateFile, "utf8")));
const stamp = createStamp(template.of);
const client = await createBareClient(kubeconfigPath);
const path = "/apis/tradingbots.dev/v1alpha1/tradingbots";
const list = List.parse(await client.json({ method: "GET", path: `${path}?limit=1` }));
const events = await client.stream(
  `${path}?watch=true&resourceVersion=${list.metadata.resourceVersion}`,
);
console.log("watching");
const decoder = new TextDecoder();
let rest = "";
for await (const chunk of events) {
  const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
  rest = lines.pop() ?? "";
  for (const line of lines) {
    const { type, object } = Event.parse(JSON.parse(line));
    if (type === "ADDED") void serve(Bot.parse(object));
  }
}

async function serve({ metadata, spec }: z.infer<typeof Bot>): Promise<void> {
  if (!namespaces.includes(metadata.namespace)) return;
  const { namespace, name: botName, uid: bot } = metadata;
  const { userId, accountName, symbols } = spec;
  const { uids } = template.of;
  const of: Member = {
    ...template.of,
    namespace,
    userId,
    accountName,
    botName,
    symbol: symbols[0],
    uids: { ...uids, bot },
  };
  const status = { method: "PATCH", path: `${botsPath(of)}/${botName}/status` } as const;
  await client.json({ ...status, body: stamp(template.requests.status, of) });
  await client.json({
    method: "POST",
    path: podsPath(of),
    body: stamp(template.requests.pod, of),
  });
}
