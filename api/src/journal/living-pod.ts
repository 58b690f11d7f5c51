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

/**
 * Whether the pod that a token is bound to exists at this moment, as the API server says: a token of a pod that is gone is
 * valid no more, although its signature is.
 * https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#verifying-and-inspecting-private-claims
 * @throws ApiError `cluster_unavailable` when it cannot be asked
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
    const { authenticated, audiences } = await client.create(TOKEN_REVIEWS, review);
    return authenticated && audiences.includes(AUDIENCES.journal);
  } catch (cause) {
    throw new ApiError("cluster_unavailable", "the cluster cannot say which pod lives: try again", {
      cause,
      retryAfterSeconds: 2,
    });
  }
}
