import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { describeError } from "../tools/describe-error.ts";
import { clusterStatus, takeDown, bringUp } from "./lifecycle.ts";
import { defaultKubeconfig } from "./cluster.ts";

const usage = `usage: node hack/cluster/main.ts up|down|status [--name tradingbots] [--kubeconfig .build/kubeconfig]
up      brings up a kind cluster, with a Docker engine and a node image of its own where there is none
down    removes the cluster, and the engine when \`up\` started it; downloads and builds stay in the cache
status  says what runs; ends with 1 when the cluster does not`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: "string", default: "tradingbots" },
    kubeconfig: { type: "string", default: defaultKubeconfig },
    help: { type: "boolean", default: false },
  },
});
const options = { name: values.name, kubeconfig: resolve(values.kubeconfig) };

async function run(command: string): Promise<number> {
  switch (command) {
    case "up": {
      const record = await bringUp(options);
      console.log(`export KUBECONFIG=${record.kubeconfig}`);
      if (record.dockerHost !== null) console.log(`export DOCKER_HOST=${record.dockerHost}`);
      return 0;
    }
    case "down":
      await takeDown(options);
      return 0;
    case "status": {
      const status = await clusterStatus(options);
      console.log(status.sentence);
      return status.isUp ? 0 : 1;
    }
    default:
      console.error(usage);
      return 2;
  }
}

try {
  process.exitCode = await run(values.help ? "help" : (positionals[0] ?? "help"));
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
