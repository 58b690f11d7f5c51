import { expect, test } from "vitest";
import { withoutDockerRules } from "./firewall.ts";

test("Docker's chains go, foreign rules stay", () => {
  const dump = `*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -i eth0 -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
`;
  expect(withoutDockerRules(dump)).toBe(`*filter
:FORWARD DROP [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
-A FORWARD -i eth0 -j ACCEPT
COMMIT
`);
});
