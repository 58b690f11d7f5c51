import { execa } from "execa";
import { toolPath } from "../tools/tools.ts";

const TIMEOUT_MS = 60_000;

/** The pinned kubectl on one kubeconfig. */
export async function kubectlFor(kubeconfig: string) {
  const binary = await toolPath("kubectl");

  /** Runs kubectl and answers its output. @throws when it fails, with what it said. */
  async function run(args: readonly string[], input?: string): Promise<string> {
    const { stdout } = await execa(binary, ["--kubeconfig", kubeconfig, ...args], {
      timeout: TIMEOUT_MS,
      ...(input === undefined ? {} : { input }),
    });
    return stdout;
  }

  async function json(args: readonly string[]): Promise<unknown> {
    return JSON.parse(await run([...args, "-o", "json"])) as unknown;
  }

  async function apply(manifest: unknown): Promise<void> {
    await run(["apply", "-f", "-"], JSON.stringify(manifest));
  }

  return { run, json, apply, binary, kubeconfig };
}
export type Kubectl = Awaited<ReturnType<typeof kubectlFor>>;
