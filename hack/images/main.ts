import { parseArgs } from "node:util";
import { readClusterRecord } from "../cluster/cluster.ts";
import { describeError } from "../tools/describe-error.ts";
import { buildImages } from "./build-images.ts";

const usage = `usage: node hack/images/main.ts [--load] [--cluster tradingbots]
Builds the images that the engine lacks and writes their references to .build/images.json.
What is in each, in CycloneDX: .build/images/<name>/app/sbom.cdx.json, and /app/sbom.cdx.json in the image itself.
--load  copies them into the cluster that hack/cluster brought up, if one runs`;

const { values } = parseArgs({
  options: {
    load: { type: "boolean", default: false },
    cluster: { type: "string", default: "tradingbots" },
    help: { type: "boolean", default: false },
  },
});

try {
  if (values.help) {
    console.log(usage);
  } else {
    const cluster = values.load ? await readClusterRecord(values.cluster) : undefined;
    await buildImages(cluster);
    if (values.load && cluster === undefined) console.log("No cluster runs: nothing was loaded.");
  }
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
