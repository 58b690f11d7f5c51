/** An `iptables-save` dump without Docker's chains and the rules that lead to them; everybody else's stay. */
export function withoutDockerRules(dump: string): string {
  const lines = dump.split("\n");
  const kept = lines.filter((line) => !/^:DOCKER|^-[AI] DOCKER|-j DOCKER/.test(line));
  return `${kept.join("\n").trimEnd()}\n`;
}
