import { AUDIENCES } from "@tradingbots/crds";
import type { KubeClient, Resource } from "@tradingbots/kube";
import { z } from "zod";
import { ApiError } from "../errors.ts";

const Review = z.object({
  status: z.object({
    authenticated: z.boolean().default(false),
    audiences: z.array(z.string()).default([]),
  }),
});

const TOKEN_REVIEWS: Resource<z.infer<typeof Review>["status"]> = {
  apiVersion: "authentication.k8s.io/v1",
  kind: "TokenReview",
  plural: "tokenreviews",
  scope: "Cluster",
  read: (value) => Review.parse(value).status,
};

/** The bot gives up on a session after 3 s. */
const ANSWER_LIMIT_MS = 2_000;

/**
 * Whether the pod that a token is bound to exists, as the API server says: a token of a pod that is gone is valid no more,
 * although its signature is. A yes may be 10 s old, as long as the API server
 * remembers tokens, so a pod that was asked about before may be gone: the journal does not ask about one that it knows to be older. What
 * is left is a pod that is deleted by force between a yes and a session that it asks for again within those seconds.
 * https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#verifying-and-inspecting-private-claims
 * @throws ApiError `cluster_unavailable` when it cannot be asked, or does not answer within 2 s
 */
export async function podExists(
  client: Pick<KubeClient, "create">,
  token: string,
): Promise<boolean> {
  const review = {
    apiVersion: TOKEN_REVIEWS.apiVersion,
    kind: TOKEN_REVIEWS.kind,
    metadata: { name: "" }, // it is answered, not stored
    spec: { token, audiences: [AUDIENCES.journal] },
  };
  try {
    const { authenticated, audiences } = await inTime(client.create(TOKEN_REVIEWS, review));
    return authenticated && audiences.includes(AUDIENCES.journal);
  } catch (cause) {
    throw new ApiError("cluster_unavailable", "the cluster cannot say which pod lives: try again", {
      cause,
      retryAfterSeconds: 2,
    });
  }
}

async function inTime<T>(asked: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer in time")), ANSWER_LIMIT_MS);
  });
  return Promise.race([asked, late]).finally(() => clearTimeout(timer));
}
