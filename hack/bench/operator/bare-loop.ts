import { z } from "zod";
import type { BareClient } from "./bare-client.ts";
import { inParallel } from "./creations.ts";
import { botBody, type Member } from "./population.ts";
import { createStamp } from "./stamp.ts";
import type { Template } from "./template.ts";

const Created = z.object({ metadata: z.object({ uid: z.string() }) });

export function botsPath({ namespace }: Member): string {
  return `/apis/tradingbots.dev/v1alpha1/namespaces/${namespace}/tradingbots`;
}

export function podsPath({ namespace }: Member): string {
  return `/api/v1/namespaces/${namespace}/pods`;
}

/**
 * The same three writes without an operator: create the object, POST the pod, PATCH the status, one after the other for each bot.
 * What an operator adds (watching, deciding) is all that it can be slower by. Gives back bots per second.
 */
export async function bareLoop(
  client: BareClient,
  template: Template,
  members: readonly Member[],
): Promise<number> {
  const stamp = createStamp(template.of);
  const seconds = await inParallel(members.length, async (index) => {
    const of = members[index];
    if (of === undefined) return;
    const body = JSON.stringify(botBody(of));
    const answer = await client.json({ method: "POST", path: botsPath(of), body });
    const { uid } = Created.parse(answer).metadata;
    const to = { ...of, uids: { ...of.uids, bot: uid } };
    await client.json({
      method: "POST",
      path: podsPath(of),
      body: stamp(template.requests.pod, to),
    });
    await client.json({
      method: "PATCH",
      path: `${botsPath(of)}/${of.botName}/status`,
      body: stamp(template.requests.status, to),
    });
  });
  return members.length / seconds;
}
