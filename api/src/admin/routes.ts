import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { auditAttempts } from "../audit/requests.ts";
import { callerOf } from "../auth/authenticate.ts";
import type { RequireStepUp, RequireTwoFactors } from "../auth/step-up.ts";
import type { Database } from "../database.ts";
import type { Kube } from "../kube.ts";
import { requireRole, wantedRole } from "./administrator.ts";
import { adminAuditRoutes } from "./audit-routes.ts";
import { adminHaltRoutes } from "./halt-routes.ts";
import { adminSummaryRoutes } from "./summary-routes.ts";
import { adminUserRoutes } from "./user-routes.ts";

export interface AdminDeps {
  /** Of the admin role. */
  readonly adminPool: Database;
  readonly requireStepUp: RequireStepUp;
  readonly requireTwoFactors: RequireTwoFactors;
  readonly kube: Pick<Kube, "bots" | "halts">;
}

/** /api/admin: for those who run the platform. Whatever they ask for is audited before it is answered. */
export function adminRoutes(deps: AdminDeps): FastifyPluginAsyncZod {
  return async (app) => {
    app.addHook("onRoute", ({ schema }) => void wantedRole(schema)); // none is forgotten
    // Before what was sent is judged: to others there is nothing here, and calls that are not valid are audited too.
    app.addHook("preValidation", requireRole(deps.adminPool));
    app.addHook("preValidation", (request) => deps.requireTwoFactors(callerOf(request)));
    app.addHook("preValidation", async (request) => {
      if (request.method !== "GET") await deps.requireStepUp(callerOf(request));
    });
    const audited = auditAttempts(deps.adminPool, { actorKind: "admin", reads: true });
    app.addHook("preValidation", audited);
    await app.register(adminUserRoutes(deps), { prefix: "/users" });
    await app.register(adminHaltRoutes(deps), { prefix: "/halts" });
    await app.register(adminAuditRoutes(deps), { prefix: "/audit" });
    await app.register(adminSummaryRoutes(deps), { prefix: "/summary" });
  };
}
