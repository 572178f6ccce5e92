/** All resource types that the lab emulates. A new type needs a table in this folder, an entry here, and its effect in the control plane. */
import { group, launchTemplate } from "./autoscaling.ts";
import { record, zone } from "./dns.ts";
import { instanceProfile, keyPair, role, rolePolicy } from "./identity.ts";
import { amiFromInstance, instance, instanceState } from "./instance.ts";
import { internetGateway, route, routeTable, routeTableAssociation, subnet, vpc } from "./network.ts";
import type { ResourceSchema } from "./schema.ts";
import { egressRule, ingressRule, securityGroup } from "./security-groups.ts";
import {
  bucket,
  bucketEncryption,
  bucketObject,
  bucketPublicAccessBlock,
  bucketVersioning,
} from "./storage.ts";
import { volume, volumeAttachment } from "./volumes.ts";

export const schemas: readonly ResourceSchema[] = [
  vpc,
  subnet,
  internetGateway,
  routeTable,
  route,
  routeTableAssociation,
  securityGroup,
  ingressRule,
  egressRule,
  keyPair,
  role,
  rolePolicy,
  instanceProfile,
  zone,
  record,
  instance,
  amiFromInstance,
  instanceState,
  volume,
  volumeAttachment,
  launchTemplate,
  group,
  bucket,
  bucketPublicAccessBlock,
  bucketEncryption,
  bucketVersioning,
  bucketObject,
];

const byType = new Map(schemas.map((schema) => [schema.type, schema]));

/** The table of a type; an unknown one is an error that says what there is, and where to add it. */
export function schemaOf(type: string): ResourceSchema {
  const schema = byType.get(type);
  if (schema) return schema;
  const known = schemas.map((each) => each.type).join(", ");
  throw new Error(
    `the lab does not emulate the resource type "${type}". It emulates: ${known}. ` +
      "To add it: a table in lab/schema (listed in lab/schema/index.ts), and its effect in lab/control-plane.",
  );
}
