import { createKubeClient, inClusterAccess } from "@tradingbots/kube";
import { z } from "zod";
import { applyClasses, readClasses } from "./default-classes.ts";

/**
 * Applies the chart's BotClasses. The chart cannot hold them itself: Helm looks every kind up before it installs
 * anything, and on the first install the kind does not exist yet.
 */
const env = z
  .object({
    CLASSES_DIRECTORY: z.string().min(1),
    KUBERNETES_SERVICE_HOST: z.string().min(1),
    KUBERNETES_SERVICE_PORT: z.string().min(1),
  })
  .parse(process.env);

const cluster = createKubeClient(
  inClusterAccess({ host: env.KUBERNETES_SERVICE_HOST, port: env.KUBERNETES_SERVICE_PORT }),
);
try {
  const classes = await readClasses(env.CLASSES_DIRECTORY);
  await applyClasses(cluster, classes);
  console.log(`applied BotClass ${[...classes.keys()].join(", ")}`);
} finally {
  await cluster.close();
}
