/** Key pairs; and IAM, which is recorded and checked: in a lab an instance with a profile may do everything. */
import { createHash } from "node:crypto";
import { ApiError } from "../errors.ts";
import { accountId, arn, newIamId, newId } from "../names.ts";
import { textOf } from "../plan.ts";
import type { Inputs, Store } from "../store.ts";
import { type Kind, required } from "./kind.ts";

export const keyPair: Kind = {
  create({ store }, inputs) {
    const keyName = typeof inputs.keyName === "string" ? inputs.keyName : newId("key");
    if (store.get("ec2/keyPair", keyName)) {
      throw new ApiError("InvalidKeyPair.Duplicate", `The keypair '${keyName}' already exists.`);
    }
    const [type = "", blob = ""] = required(inputs, "publicKey").trim().split(/\s+/);
    return {
      id: keyName,
      attributes: {
        keyName,
        keyPairId: newId("key"),
        keyType: type === "ssh-rsa" ? "rsa" : "ed25519",
        fingerprint: createHash("sha256").update(Buffer.from(blob, "base64")).digest("base64"),
        arn: arn("ec2", "eu-central-1", `key-pair/${keyName}`),
      },
    };
  },
};

const iamArn = (what: string, inputs: Inputs, name: string) =>
  `arn:aws:iam::${accountId}:${what}${typeof inputs.path === "string" ? inputs.path : "/"}${name}`;

function newName(store: Store, type: string, inputs: Inputs, what: string): string {
  const name = required(inputs, "name");
  if (!store.get(type, name)) return name;
  throw new ApiError("EntityAlreadyExists", `${what} with name ${name} already exists.`, 409);
}

function existingRole(store: Store, name: string): void {
  if (store.get("iam/role", name)) return;
  throw new ApiError("NoSuchEntity", `The role with name ${name} cannot be found.`, 404);
}

/** In whole seconds, as IAM tells times. */
const now = () => new Date().toISOString().replace(/\.\d+Z$/, "Z");

export const role: Kind = {
  create({ store }, inputs) {
    const name = newName(store, "iam/role", inputs, "Role");
    return {
      id: name,
      attributes: { name, arn: iamArn("role", inputs, name), uniqueId: newIamId("AROA"), createDate: now() },
    };
  },
  whyKept({ store }, { id }) {
    const user = ["iam/rolePolicy", "iam/instanceProfile"]
      .flatMap((type) => store.list(type))
      .find((each) => textOf(each, "role") === id);
    if (!user) return undefined;
    const what = user.type === "iam/rolePolicy" ? "delete its policies" : "remove it from instance profiles";
    return new ApiError(
      "DeleteConflict",
      `Cannot delete entity ${id}: must ${what} first (${user.id}).`,
      409,
    );
  },
};

export const rolePolicy: Kind = {
  create({ store }, inputs) {
    const owner = required(inputs, "role");
    existingRole(store, owner);
    const name = required(inputs, "name");
    const id = `${owner}:${name}`;
    if (store.get("iam/rolePolicy", id)) {
      throw new ApiError("EntityAlreadyExists", `The role ${owner} already has a policy ${name}.`, 409);
    }
    return { id, attributes: { name } };
  },
};

export const instanceProfile: Kind = {
  create({ store }, inputs) {
    const name = newName(store, "iam/instanceProfile", inputs, "Instance Profile");
    if (typeof inputs.role === "string") existingRole(store, inputs.role);
    return {
      id: name,
      attributes: {
        name,
        arn: iamArn("instance-profile", inputs, name),
        uniqueId: newIamId("AIPA"),
        createDate: now(),
      },
    };
  },
  update({ store }, _resource, inputs) {
    if (typeof inputs.role === "string") existingRole(store, inputs.role);
  },
};
